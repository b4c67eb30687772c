"""What was graded, told: feedback pages, the grade table, the class chart, the challenge's results.

`grades` is the one table that the report and all `grade_sheets` read; `giving_back` makes what a platform takes
(uploads). `insight` is what the class got wrong, by misconception (class_answers, behaviour, likeness, insight_html),
`similar` finds near copies (winnowing), `gradescope` makes a zip that grades there.

In: autograded/, submitted/ and the gradebook. Out: feedback/, tables, pictures, CSV, pages beside autograded/.
"""
