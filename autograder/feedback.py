"""What learners see of their graded notebook: outcomes and messages, no hidden test; a step of generate_feedback."""

from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder.chapters import HIDDEN


class HideTests(NbGraderPreprocessor):
    """Cuts hidden tests out of test cells, and tracebacks, which quote them, down to the message."""

    def preprocess_cell(self, cell, resources, cell_index):
        if cell.cell_type == "code" and utils.is_grade(cell):
            cell.source = HIDDEN.sub("", cell.source).rstrip()
            for output in cell.outputs:
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources
