"""What things cost: `make bench`.

In: source/ and a browser. Out: milliseconds and ratios, printed.
"""
