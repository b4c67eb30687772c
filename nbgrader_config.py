"""Makes this folder an nbgrader course: plain `nbgrader ...` commands work here."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from nbgrader.converters.autograde import Autograde
from nbgrader.converters.generate_assignment import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions, Execute, GetGrades

from autograder import COURSE_ID, use_own_programs
from autograder.authoring.build import Badges, RunnableStubs, SetUpCell, Unpair, WholeRelease
from autograder.collecting import collect
from autograder.grading import batch
from autograder.grading.account import hold_streams
from autograder.grading.execute import TwoKernels
from autograder.grading.submission import MARK
from autograder.reporting import chart, grade_sheets
from autograder.reporting.feedback import FeedbackPage, Outcomes

use_own_programs()
hold_streams()
c = get_config()  # noqa: F821 (nbgrader provides it)

c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.CourseDirectory.course_id = COURSE_ID
# The percent texts hold the solutions: they must not be copied into a release.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "*.py", ".course_progress.json", MARK]

# The one setting for Colab, Kaggle and Binder: where the course is public, as GitHub's owner/name. Put yours in place
# of your_name (GitHub gives that name to nobody) and run `make release`, or give it once:
# make release COURSE_REPOSITORY=owner/name. Each release's badges open that repository's notebook, and its set-up cell
# installs the library from there. For a JupyterHub that has nbgitpuller: make release COURSE_HUB=https://hub.example.org
repository = os.environ.get("COURSE_REPOSITORY", "your_name/model-compression-course")
c.Badges.repository = repository
c.Badges.hub = os.environ.get("COURSE_HUB", "")
# A library that lies elsewhere: any address or wheel that pip understands, such as
#   make release COURSE_PACKAGE=https://.../model_compression_course-0.2.0-py3-none-any.whl
c.SetUpCell.package = os.environ.get("COURSE_PACKAGE") or (repository and f"git+https://github.com/{repository}")

# A stub says so when it is called. Where no function surrounds it, RunnableStubs makes it a comment, so that
# Run All reaches the exercises that are answered.
c.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("your code here")'}
steps = [Unpair, Badges, SetUpCell, *GenerateAssignment.preprocessors.default()]
steps.insert(steps.index(ClearSolutions) + 1, RunnableStubs)
c.GenerateAssignment.preprocessors = steps
c.GenerateAssignment.exporter_class = WholeRelease

# autograde: mend, run and record each submission (autograder/grading/batch.py). Learners' cells run behind walls, test
# cells in a kernel of their own: the traits of TwoKernels are the limits.
c.Autograde.exporter_class = batch.BatchExporter
c.Autograde.autograde_preprocessors = [
    TwoKernels if step is Execute else step for step in Autograde.autograde_preprocessors.default()
]
batch.afterwards[:] = [chart.line]

# A page is written anew each time, so that it follows the grade.
c.GenerateFeedback.force = True
c.GenerateFeedback.preprocessors = [GetGrades, Outcomes]
c.GenerateFeedback.exporter_class = FeedbackPage
c.FeedbackPage.template_name = "feedback_page"
c.FeedbackPage.extra_template_basedirs = [str(Path(__file__).resolve().parent / "autograder" / "reporting")]

# export: nbgrader's table; --exporter=autograder.reporting.grade_sheets.Canvas (Moodle, MoodleWorksheet, Brightspace)
# writes what that platform imports.
c.ExportApp.plugin_class = grade_sheets.Table

# zip_collect: uploads from learning platforms become submissions (autograder/collecting/collect.py). The times in their
# names are this machine's, unless a zone is given: c.UploadCollector.timezone = "Europe/Berlin"
c.ZipCollectApp.extractor_plugin = collect.UploadExtractor
c.ZipCollectApp.collector_plugin = collect.UploadCollector
