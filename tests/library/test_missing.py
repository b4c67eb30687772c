"""After a NameError the learner reads which open exercise it comes from, and nothing where it comes from none."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from course import missing


@pytest.fixture
def shell():
    shell = InteractiveShell()
    missing.use(shell)
    missing.use(shell)
    return shell


def said(shell, capsys, *cells):
    """What is printed besides the tracebacks after each cell."""
    found = []
    for cell in cells:
        shell.run_cell(cell)
        found.append("".join(line for line in capsys.readouterr().out.splitlines(True) if "comes from a cell" in line))
    return found


OPEN = "def gptq(w):\n    raise NotImplementedError('your code here')"


def test_a_name_that_an_open_exercise_would_have_made_is_explained_through_several_cells(shell, capsys):
    *nothing, first, second = said(
        shell, capsys, OPEN, "before = 1\nlosses, rest = gptq(before), 2", "best = min(losses)", "print(best)"
    )
    assert nothing == ["", ""]
    assert first == "losses comes from a cell above that did not run to its end: gptq is not written yet.\n"
    assert second == "best comes from a cell above that did not run to its end: gptq is not written yet.\n"


def test_other_errors_are_named_and_answers_end_it(shell, capsys):
    assert said(shell, capsys, "x = 1 / 0", "x + 1")[1].endswith("to its end: ZeroDivisionError: division by zero.\n")
    assert said(shell, capsys, "x = 2", "x + 1", "del x", "x") == ["", "", "", ""]
    assert said(shell, capsys, "never_made", "assert False", "y = [z for z in unknown]") == ["", "", ""]


def test_what_a_cell_makes():
    assert missing.names_made("for i in range(3):\n    with open(i) as f: pass\nclass A: b = 1") == {"i", "f", "A"}
    assert missing.names_made("import a.b\nfrom c import d as e\n(g := 1)\n[h for h in 'x']") == {"a", "e", "g"}
    assert missing.names_made("not python") == missing.names_made("%magic") == missing.names_made("") == set()
