"""Grading: mend, run, record. Each is a function of values, and nothing that goes wrong with one touches another.

In: submitted/ and the release. Out: autograded/, the gradebook, and an account of everybody.

`batch` takes what nbgrader was asked to grade and leads each submission through, one after the other:
    `submission`  a folder as values: notebooks, files, digest
    `mend`        bytes -> a notebook in the release's form (notebook_bytes, form, python_text, answers, arrange)
    `run`         notebook -> the outcome of every cell. `room` is a learner's kernel (kernels, outputs) behind walls
                  (walls, limits) with somebody who watches what it uses (watch, cgroup); what its answers say crosses
                  the `border` through one guarded reader (guard) to the `standins` in the test kernel
    `record`      outcome -> autograded/ and the `gradebook`, and last the mark that says it is done
    `account`     what became of everybody
A `MachineFault` (faults) anywhere on the way means: not graded, named, and graded by the next run.
`execute` holds the limits as nbgrader's traits, `command` is `make grade`.
"""
