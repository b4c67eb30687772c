"""Instant checks: right, not yet, a hint, and progress that survives everything."""

import json
import os

import numpy as np
import pytest

from course import check as module
from course import expect
from course.check import accepted, canonical, check, check_line, passed, show_progress


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def test_right_and_not_yet(capsys):
    check("1.1", 0.00196)
    assert "Exercise 1.1: right." in capsys.readouterr().out
    check("1.2", 5)
    assert "Exercise 1.2: not yet." in capsys.readouterr().out


def test_the_hint_comes_with_the_second_miss(capsys):
    check("1.1", 1.0)
    assert "Hint" not in capsys.readouterr().out
    check("1.1", 2.0)
    assert "Hint: How many steps" in capsys.readouterr().out


def test_no_answer_is_not_a_miss(capsys):
    for nothing in (None, ..., "", [], [None, None], [1.0, None]):
        check("1.3", nothing)
        out = capsys.readouterr().out
        assert "no answer yet" in out
        assert "Hint" not in out


def test_two_numbers_are_one_exercise_and_both_have_to_be_right(capsys):
    for answer, said in [
        ([131072, 5.88], "right."),
        ([131072.0, np.float32(5.8824)], "right."),
        ([1.31e5, "5.9"], "right."),
        ([131072, 6.25], "not yet. ex_2_3_groups is right; ex_2_3_overhead not yet."),
        ([32, 5.88], "not yet. ex_2_3_groups not yet; ex_2_3_overhead is right."),
        ([5.88, 131072], "not yet. ex_2_3_groups not yet; ex_2_3_overhead not yet."),
        ([131072], "not yet. 2 numbers are wanted: ex_2_3_groups, ex_2_3_overhead."),
        (131072, "not yet. 2 numbers are wanted"),
    ]:
        check("2.3", answer)
        assert f"Exercise 2.3: {said}" in capsys.readouterr().out, answer
    assert json.loads(module.PROGRESS.read_text())["done"] == ["2.3"]


def test_what_kind_of_answer_is_wanted_comes_before_any_hint(capsys):
    for exercise, answer, said in [
        ("0.1", "26 GB", "Give the number alone, without quotes or unit: 26."),
        ("0.1", "a lot", "A number is wanted, this is text."),
        ("0.1", [26], "A number is wanted, this is a list."),
        ("0.1", True, "A number is wanted, this is bool."),
        ("0.1", 26e9, "The digits are right, the unit is not"),
        ("2.1", 0.000488, "The digits are right, the unit is not"),
        ("1.3", 2, "One letter of A, B, C, D is wanted, in quotes."),
        ("1.3", "Z", "One letter of A, B, C, D is wanted, in quotes."),
        ("2.6", "calibrate", 'A list of keys is wanted, such as ["calibrate", "quantize", ...].'),
        ("2.6", ["calibrate"], "The list should have each of calibrate, compute_scales, evaluate, quantize once."),
    ]:
        for _ in range(3):
            check(exercise, answer)
            out = capsys.readouterr().out
            assert said in out, (exercise, answer)
            assert "Hint" not in out


def test_text_that_reads_as_a_number_is_that_number(capsys):
    for text in ("26", " 26.0", "2.6e1"):
        check("0.1", text)
        assert "right." in capsys.readouterr().out
        expect.number(text, 26.0)
    check_line("3.5", "5")
    assert "line 5 is the first wrong one" in capsys.readouterr().out


def test_the_line_of_a_debug_exercise_gets_a_word_of_its_own(capsys):
    for line, said in [
        (None, "no line yet. Set ex_3_5_line to the number of a line"),
        (4, "line 4 is not the first wrong one, not yet."),
        ("five", "A number is wanted, this is text."),
        (5, "line 5 is the first wrong one."),
        (np.int64(5), "line 5 is the first wrong one."),
    ]:
        check_line("3.5", line)
        assert said in capsys.readouterr().out
    check_line("3.5", 3)
    assert "Hint: run the function line by line" in capsys.readouterr().out
    assert "3.5" not in json.loads(module.PROGRESS.read_text())["done"], "the repair is still to come"


def test_a_narrow_tolerance_counts_more_digits():
    assert accepted(0.0039370, 0.002) >= {"0.003937", "0.00394"}
    assert canonical(1 / 255, 4) not in accepted(0.0039370, 0.002)
    assert canonical(99.8, 4) in accepted(130 / 1.302626, 0.0005)
    assert canonical(100, 4) not in accepted(130 / 1.302626, 0.0005)


@pytest.mark.parametrize("odd", [np.ones(3), {"a": 1}, object(), float("nan"), 10**400, b"x", [[None]]])
def test_odd_answers_are_just_wrong(odd, capsys):
    check("1.1", odd)
    assert "not yet" in capsys.readouterr().out


def test_progress_counts_each_exercise_once_and_labs_not_among_the_58(capsys):
    for _ in range(2):
        check("1.3", "a")
        passed("1.5")
        passed("L1.7")
    assert "Chapter 1: 2 of 6, its labs: 1 of 5, Course: 2 of 58" in capsys.readouterr().out
    show_progress(1)
    assert "Chapter 1: 2 of 6" in capsys.readouterr().out


def test_a_damaged_progress_file_is_no_obstacle(capsys):
    for damaged in ("", "{", "[]", '{"done": 3}', '{"done": [], "misses": 3}', "\x00"):
        module.PROGRESS.write_text(damaged)
        check("1.3", "A")
        assert "right" in capsys.readouterr().out
        assert json.loads(module.PROGRESS.read_text())["done"] == ["1.3"]


def test_a_folder_that_cannot_be_written_is_said_and_is_no_obstacle(monkeypatch, capsys):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    check("1.3", "A")
    out = capsys.readouterr().out
    assert "right" in out
    assert "could not be kept: Permission denied" in out


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match=r"exercise '9\.99' is unknown"):
        check("9.99", 1)
    with pytest.raises(ValueError, match=r"exercise '9\.99' is unknown"):
        passed("9.99")


def test_validate_reports_wrong_answers_and_grading_says_nothing(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    check("1.3", "A")
    with pytest.raises(AssertionError, match="not yet"):
        check("1.3", "B")
    with pytest.raises(AssertionError, match="no answer yet"):
        check("1.3", None)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check("1.3", "B")
    passed("1.5")
    assert capsys.readouterr().out == ""
    assert os.listdir() == []


@pytest.mark.parametrize("exact", [1 / 510, 26.0, 99.8, 1.0, 9.999, 131072, -0.05, 0.0999, 3.25, 1.0049])
def test_what_is_right_here_is_within_one_percent_and_the_exact_value_is_right(exact):
    assert canonical(exact) in accepted(exact)
    for share in np.linspace(-0.03, 0.03, 601):
        value = exact * (1 + share)
        if canonical(value) in accepted(exact):
            expect.number(value, exact)


def test_the_digests_hold_no_answer_in_the_clear():
    text = json.dumps(module._all_known())
    for answer in ("0.00196", "0.00394", '["calibrate", "compute_scales", "quantize", "evaluate"]'):
        assert answer not in text
