"""From percent text to what learners get: source notebooks, releases and instant checks.

In: source/*/*.py and the answer bank. Out: source and release notebooks, course/checks.json, a published folder.
`chapters` reads texts and names exercises, `build` writes notebooks from them, `bank` holds answers, `sample_class`
makes submissions of those, `publish` copies what a class may see.
"""
