"""One way to time: all in turn, median and spread, and a word where the spread is large."""

import pytest
import torch

from course.timing import Timing, measure_again, timings


def test_works_are_timed_in_turn_and_more_work_takes_longer():
    calls = []
    small, large = torch.ones(8, 8), torch.ones(600, 600)
    works = {
        "small": lambda: (calls.append("small"), small @ small),
        "large": lambda: (calls.append("large"), large @ large),
    }
    found = timings(works, rounds=3, threads=1, seconds=0.003)
    assert list(found) == ["small", "large"]
    assert 0 < found["small"].seconds < found["large"].seconds
    turns = [name for name, before in zip(calls, [None, *calls], strict=False) if name != before]
    assert turns[:2] * 3 == turns[:6], "each round has both"


def test_the_spread_is_that_of_the_middle_half_and_a_large_one_is_said():
    assert str(Timing(0.00123, 0.04)) == "1.23 ms (spread 4%)"
    assert measure_again({"a": Timing(1.0, 0.1), "b": Timing(2.0, 0.05)}) == ""
    assert "the times of b spread" in measure_again({"a": Timing(1.0, 0.1), "b": Timing(2.0, 0.5)})


def test_threads_are_those_asked_for_and_put_back():
    before, seen = torch.get_num_threads(), set()
    timings({"a": lambda: seen.add(torch.get_num_threads())}, rounds=3, threads=1, seconds=0.003)
    assert 1 in seen
    assert torch.get_num_threads() == before


def test_too_few_rounds_have_no_spread():
    with pytest.raises(ValueError, match="rounds must be at least 3"):
        timings({}, rounds=2)
