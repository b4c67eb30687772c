"""What the class got wrong: wrong answers are counted under the misconception that they behave like."""

import ast
import re
import statistics

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from small_course import CHAPTER, CONFIG, SmallCourse

from autograder import COURSE_ID
from autograder.authoring import bank, chapters
from autograder.grading.execute import TwoKernels
from autograder.grading.workers import Grading
from autograder.reporting import chart, class_answers, insight, insight_html

NUMBERS = ("1.4", "1.5", "1.6")
PRELOAD = "numpy, torch, course.expect, course.check"
HELPER = """
def rounded(x, scale, lo):
    return np.round((np.clip(x, lo, lo + 255 * scale) - lo) / scale) * scale + lo
"""
HELPED = """
def quantize_dequantize(x, bits, lo, hi):
    return rounded(x, (hi - lo) / 2**bits, lo)
"""
STRANGE = """
def quantize_dequantize(x, bits, lo, hi):
    # written by Zoe
    shown = "</pre><script>alert(1)</script>"
    return np.asarray(x) + 1
"""
RAISES = """
def quantize_dequantize(x, bits, lo, hi):
    raise KeyError("<img src=x onerror=alert(1)>")
"""
STRANGE_TOO = "def quantize_dequantize(x, bits, lo, hi):\n    y = 1 + np.array(x)\n    return y.tolist()"


def renamed(source: str) -> str:
    """The answer with other names for the variables within its functions, in another layout."""
    tree = ast.parse(source)
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            nodes = list(ast.walk(function))
            given = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
            own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
            for node in nodes:
                if isinstance(node, ast.Name) and node.id in own - given:
                    node.id = f"my_{node.id}"
                elif isinstance(node, ast.arg) and node.arg in own - given:
                    node.arg = f"my_{node.arg}"
    return ast.unparse(tree)


def wrong_answers() -> dict[str, dict[str, str]]:
    """{exercise: {misconception: the bank's code for it}}."""
    answers = [answer for answer in bank.answers(CHAPTER) if answer.exercise in NUMBERS and not answer.right]
    return {number: {a.name: a.source for a in answers if a.exercise == number} for number in NUMBERS}


class InsightCourse(SmallCourse):
    """Three exercises of Chapter 1: a short one, one to build, one to debug."""

    def __init__(self, root):
        self.bank = wrong_answers()
        super().__init__(root)
        source = nbformat.read(chapters.source_path(CHAPTER), as_version=4)
        exercises = [each for each in chapters.exercises(source) if each.number in NUMBERS]
        cells = [nbformat.v4.new_markdown_cell("# Chapter 1"), nbformat.v4.new_code_cell("import numpy as np")]
        for each in exercises:
            cells += [nbformat.v4.new_markdown_cell(each.text), each.answer, *each.tests]
        for index, cell in enumerate(cells):
            cell.id = f"cell-{index}"
        self.answers = {f"ex_{each.id}": each.answer.source for each in exercises}
        self.write_source(nbformat.v4.new_notebook(cells=cells, metadata=source.metadata))
        self.release()
        for student in self.students:
            self.submit(student)

    def hand_in(self, student: str, before: str = "", **answers: str) -> None:
        """answers: {grade_id: code}; the others are right. before: a cell of the student's own, at the top."""

        def change(notebook):
            for cell in notebook.cells:
                cell.source = answers.get(chapters.grade_id(cell), cell.source)
            if before:
                notebook.cells.insert(1, nbformat.v4.new_code_cell(before))

        self.submit(student, change)

    def look(self) -> dict[str, class_answers.Seen]:
        course = self.directory()
        limits = TwoKernels(preload=PRELOAD)
        seen = insight.look(course, limits.limits(limits.walls()), self.root / "kept", Grading())
        return {each.exercise.number: each for each in seen}

    def directory(self):
        config = CONFIG.copy()
        config.CourseDirectory.update(root=str(self.root), course_id=COURSE_ID, db_url=self.url)
        course = CourseDirectory(config=config)
        course.assignment_id = CHAPTER
        return course


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A class in which every misconception of the three exercises is handed in, and what the bank does not know."""
    course = InsightCourse(tmp_path_factory.mktemp("insight") / "course")
    for index in range(max(map(len, course.bank.values()))):
        wrong = {f"ex_{n.replace('.', '_')}": list(answers.values())[index:] for n, answers in course.bank.items()}
        course.hand_in(f"s{index:02}", **{name: renamed(left[0]) for name, left in wrong.items() if left})
    stub = {chapters.grade_id(cell): cell.source for cell in course.released().cells}
    course.hand_in("untouched", ex_1_5=stub["ex_1_5"])
    course.hand_in("strange", ex_1_5=STRANGE)
    course.hand_in("stranger", ex_1_5=STRANGE_TOO)
    course.hand_in("twice", ex_1_6=course.bank["1.6"]["does not round"].replace("line = 4", "line = 2"))
    course.hand_in("raises", ex_1_5=RAISES)
    course.hand_in("helped", HELPER, ex_1_5=HELPED)
    course.hand_in("imports", "import numpy as n", ex_1_5=course.bank["1.5"]["does not clamp"].replace("np.", "n."))
    course.hand_in("torn", ex_1_5="def quantize_dequantize(x, bits, lo, hi):\n    return (x")
    course.autograde(preload=PRELOAD)
    return course


@pytest.fixture(scope="module")
def seen(course):
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(insight.tqdm, "write", said.append)
        seen = course.look()
    assert said == []  # each answer could be run
    return seen


def group_of(seen: class_answers.Seen, student: str) -> class_answers.Group:
    (group,) = [g for g in seen.groups if any(answer.folder.parent.name == student for answer in g.answers)]
    return group


@pytest.mark.parametrize("number", NUMBERS)
def test_a_wrong_answer_of_the_bank_is_counted_under_its_name_whatever_its_variables_are_called(course, seen, number):
    for index, name in enumerate(course.bank[number]):
        group = group_of(seen[number], f"s{index:02}")
        assert group.named, name
        assert name in group.title.split(", or "), group.title


def test_everybody_is_counted_once(seen):
    for each in seen.values():
        assert each.solved + each.untouched + sum(len(group.answers) for group in each.groups) == len(each.answers)
    assert seen["1.5"].untouched == 1


def test_what_the_bank_does_not_know_is_grouped_by_what_it_returns(seen):
    group = group_of(seen["1.5"], "strange")
    assert group is group_of(seen["1.5"], "stranger")
    assert not group.named
    assert re.fullmatch(r"gives 1\.0237\S* where 0\.0237255 is expected", group.title)


def test_two_failing_tests_of_one_exercise_have_a_name_each(seen):
    group = group_of(seen["1.6"], "twice")
    assert group.title == "returns 2 and does not round"
    assert group.named


def test_an_answer_that_leans_on_another_cell_is_run_behind_it(seen):
    assert "2**bits steps" in group_of(seen["1.5"], "helped").title


def test_an_answer_that_needs_an_import_of_another_cell_has_it(seen):
    assert group_of(seen["1.5"], "imports").title == "does not clamp"


def test_what_is_no_python_says_so(seen):
    group = group_of(seen["1.5"], "torn")
    assert group.title.startswith("its cell stops with SyntaxError")
    assert not group.named


def test_the_second_look_runs_nothing(course, seen, monkeypatch):
    monkeypatch.setattr(insight._Runs, "all", lambda runs, what: pytest.fail(what) if runs.wanted else None)
    again = course.look()
    assert {n: [g.title for g in e.groups] for n, e in again.items()} == {
        n: [g.title for g in e.groups] for n, e in seen.items()
    }


def test_the_page_shows_no_hidden_test_no_name_and_nothing_of_a_learners_as_html(course, seen):
    page = insight_html.page(list(seen.values()), course.released())
    assert "&lt;script&gt;" in page
    assert "raises KeyError: &lt;img src=x" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "Zoe" not in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    for student in ("stranger", "helped", "s01"):
        assert student not in page
    text = re.sub(r"<[^>]+>", "", page)
    for test in (test for each in seen.values() for test in each.exercise.tests):
        for line in "".join(chapters.HIDDEN.findall(test.source)).splitlines():
            assert len(line.strip()) < 30 or line.strip() not in text, line


def test_the_page_is_written_beside_the_account_and_counts_in_words_beside_colours(seen, course):
    path = insight_html.write(course.directory(), list(seen.values()))
    assert path == course.root / "autograded" / f"{CHAPTER}_insight.html"
    page = path.read_text("utf-8")
    each = seen["1.5"]
    assert f'aria-label="{each.solved} solved, ' in page
    assert "2**bits steps" in page


def test_who_was_graded_before_an_exercise_was_there_is_not_counted_in_it(course):
    chapter = nbformat.read(chapters.source_path(CHAPTER), as_version=4)
    seen = class_answers.graded(course.directory(), chapters.exercises(chapter), chapter)
    assert [each.exercise.number for each in seen] == list(NUMBERS)


def test_a_graded_notebook_that_cannot_be_read_is_named_and_left_out(course, capsys):
    path = course.root / "autograded" / "ada" / CHAPTER / f"{CHAPTER}.ipynb"
    before = path.read_bytes()
    path.write_bytes(b"{")
    try:
        assert {len(each.answers) for each in course.look().values()} == {len(list(path.parents[2].glob("*/ch*"))) - 1}
    finally:
        path.write_bytes(before)
    assert "left out: ada" in capsys.readouterr().out


def test_of_whom_the_gradebook_holds_another_grade_is_named_and_left_out(course, capsys):
    with Gradebook(course.url, COURSE_ID) as gradebook:
        grade = gradebook.find_grade("test_1_4", CHAPTER, CHAPTER, "bob")
        before, grade.auto_score = grade.auto_score, 0
        gradebook.db.commit()
        chapter = nbformat.read(chapters.source_path(CHAPTER), as_version=4)
        seen = class_answers.graded(course.directory(), chapters.exercises(chapter), chapter)
        grade.auto_score = before
        gradebook.db.commit()
    students = {answer.folder.parent.name for each in seen for answer in each.answers}
    assert "bob" not in students
    assert "ada" in students
    assert "left out, for the gradebook holds other grades than were recorded: bob\n" in capsys.readouterr().out


def test_the_terminal_gets_a_line_for_each_exercise(seen):
    lines = insight.told(list(seen.values())).splitlines()
    assert [line.split()[0] for line in lines] == list(NUMBERS)
    assert all(len(line) <= 100 for line in lines)


def test_the_chart_counts_as_the_page_does(course, seen):
    for row in chart.rows(CHAPTER, course.url):
        each = seen[row.exercise.number]
        assert (row.solved, row.untouched) == (each.solved, each.untouched)


def test_discrimination_is_the_correlation_with_the_points_elsewhere():
    solved = [True, True, True, False, True, False, False, False]
    rest = [9.0, 8.0, 7.0, 3.0, 4.0, 5.0, 2.0, 1.0]
    expected = statistics.correlation([float(each) for each in solved], rest)
    assert class_answers.discrimination(solved, rest) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("solved", "rest"),
    [
        ([], []),
        ([True, False] * 3, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ([True] * 9, [1.0, 2.0, 3.0] * 3),
        ([True, False, True] * 3, [5.0] * 9),
    ],
)
def test_discrimination_is_not_given_where_it_says_nothing(solved, rest):
    assert class_answers.discrimination(solved, rest) is None
