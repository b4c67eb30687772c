"""The step of autograde that runs a notebook, with its limits as traits: nbgrader's `Execute` in two kernels."""

from pathlib import Path

from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Float, Integer, Unicode

from autograder.grading import walls
from autograder.grading.faults import MachineFault
from autograder.grading.files import gather
from autograder.grading.limits import Limits
from autograder.grading.run import run

STOPPED = "course_stopped"  # in the notebook's metadata: what was interrupted, ended or cut, and why


class TwoKernels(NbGraderPreprocessor):
    """Executes a notebook for grading; its traits are the limits of autograder.grading.limits."""

    memory = Integer(Limits().memory, help="Bytes of memory for the learner's processes in sum.").tag(config=True)
    disk = Integer(Limits().disk, help="Bytes of all files that a notebook may keep in its folder.").tag(config=True)
    processes = Integer(Limits().processes, help="Processes and threads for the learner.").tag(config=True)
    file_size = Integer(Limits().file_size, help="Bytes of the largest file a cell may write.").tag(config=True)
    output_size = Integer(Limits().output_size, help="Bytes of output that one cell keeps.").tag(config=True)
    cell_timeout = Float(Limits().cell_timeout, help="Seconds for one cell; a test cell has three times as many.").tag(
        config=True
    )
    total_timeout = Float(Limits().total_timeout, help="Seconds for one notebook, tests included.").tag(config=True)
    restarts = Integer(Limits().restarts, help="How often a process that ended is started again.").tag(config=True)
    preload = Unicode(
        "ipywidgets, matplotlib.pyplot, numpy, safetensors.torch, scipy.linalg, scipy.sparse, sklearn.datasets, "
        "sklearn.model_selection, torch, torch._dynamo, course.loaded",
        help="Modules that a kernel has imported before its cells run, as `import` takes them.",
    ).tag(config=True)
    sandbox = Bool(True, help="Run learners' code behind bubblewrap's walls. Without, it can reach what you can.").tag(
        config=True
    )
    require_sandbox = Bool(False, help="Grade nothing where bubblewrap is missing.").tag(config=True)

    def preprocess(self, nb, resources):
        """Run the notebook with the files in resources["metadata"]["path"] beside it; raises MachineFault."""
        folder = Path(resources["metadata"]["path"] or ".")
        outcome = run(nb, gather(folder, self.disk)[0], self.limits(self.walls()))
        for cell, ran in zip(nb.cells, outcome.notebook.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
        if outcome.stopped:
            nb.metadata[STOPPED] = "; ".join(outcome.stopped)
        return nb, resources

    def limits(self, walls: bool, hidden: tuple[str, ...] = ()) -> Limits:
        """The traits as a value. hidden: folders and files that learners' code must not see."""
        own = {name: getattr(self, name) for name in Limits._fields if name not in ("walls", "hidden")}
        return Limits(**own, walls=walls, hidden=hidden)

    def walls(self) -> bool:
        """Whether learners' code runs behind walls, tried by making some; raises MachineFault where they are refused.

        Where bubblewrap is not installed it runs without, unless `require_sandbox` is set; a warning says so.
        """
        if not self.sandbox:
            self.log.warning("TwoKernels.sandbox is off: learners' code runs without walls, with your rights")
            return False
        if walls.installed():
            if why := walls.refused():
                raise MachineFault(f"bubblewrap is installed and cannot make walls here ({why}).\n{walls.ALLOW}")
            return True
        if self.require_sandbox:
            raise MachineFault(f"bubblewrap is missing and TwoKernels.require_sandbox is set: {walls.INSTALL}")
        self.log.warning("bubblewrap is missing: learners' code runs without walls. To have them: %s", walls.INSTALL)
        return False
