"""What was graded, told: feedback pages, the grade table, the class chart, the challenge's results.

In: autograded/ and the gradebook. Out: feedback/, tables, pictures, CSV.
"""
