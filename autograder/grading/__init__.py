"""Grading: mend, run, record. Each is a function of values, and nothing that goes wrong with one touches another.

In: submitted/ and the release. Out: autograded/, the gradebook, and an account of everybody.

`batch` takes what nbgrader was asked to grade and leads each submission through, in order, as many running at a time as
there are `workers`: threads of this machine, or those of a Dask `cluster` (placing, remote).
    `submission`  a folder as values: notebooks, files, digest
    `mend`        bytes -> a notebook in the release's form (notebook_bytes, form, python_text, answers, arrange)
    `run`         notebook -> the outcome of every cell. `room` is a learner's kernel (kernels, outputs) behind walls
                  (walls, limits) with somebody who watches what it uses (watch, cgroup); what its answers say crosses
                  the `border` through one guarded reader (guard) to the `standins` in the test kernel. Both kernels are
                  `forks` of a `warm` process; `inside` is what runs in one
    `record`      outcome -> autograded/ and the `gradebook` by nbgrader's `steps`, and last the mark: it is done
    `account`     what became of everybody
A `MachineFault` (faults) anywhere on the way means: not graded, named, and graded by the next run.
`execute` holds the limits as nbgrader's traits, `command` is `make grade`.
"""
