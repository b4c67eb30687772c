"""Grading: mend, run, record. Each is a function of values.

In: submitted/. Out: autograded/ and the gradebook.
"""
