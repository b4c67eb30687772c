"""What test cells say: every message names what was expected of which input."""

import numpy as np
import pytest
import torch

from course import expect


def refused(match):
    return pytest.raises(AssertionError, match=match)


def test_numbers():
    for right in (2.0, 2, 1.99, "2.01", np.float32(2), torch.tensor(2.0), np.array([2.0])[0]):
        expect.number(right, 2.0)
    with refused("no answer yet"):
        expect.number(None, 2.0)
    with refused("3 is not right: no, that is three"):
        expect.number(3, 2.0, traps={3.0: "no, that is three"})
    with refused("2.5 is not within 1 %"):
        expect.number(2.5, 2.0, traps={3.0: "three"})
    for odd in ("two", [1, 2], {}, np.ones(3)):
        with refused("expected a number, got"):
            expect.number(odd, 2.0)
    expect.number(2.001, 2.0, within=0.001)
    with refused("2.01 is not within 0.1 %"):
        expect.number(2.01, 2.0, within=0.001)
    with refused("2.01 is not right: the nearest trap speaks"):
        expect.number(2.01, 2.0, {2.005: "a trap beside", 2.01: "the nearest trap speaks"}, within=0.004)
    for nonsense in (float("nan"), float("inf")):
        with refused("is not within 1 %"):
            expect.number(nonsense, 2.0)


def test_choices():
    expect.choice("b", "B", {"A": "because"})
    with refused("A is not right: because"):
        expect.choice("A", "B", {"A": "because"})
    for odd in ("E", 2, ["B"], "AB"):
        with refused("expected one letter of A, B"):
            expect.choice(odd, "B", {"A": "because"})


def test_orders():
    expect.order(("Train", " score "), ["train", "score"], "why")
    with refused("not in this order: why"):
        expect.order(["score", "train"], ["train", "score"], "why")
    with refused("expected each of score, train once"):
        expect.order(["train", "train"], ["train", "score"], "why")
    with refused("expected a list"):
        expect.order("train", ["train", "score"], "why")


def test_lines():
    for right in (4, "4", 4.0, np.int64(4)):
        expect.line(right, 4)
    for wrong, match in (
        (3, "line 3 is not"),
        ("four", "expected a line number"),
        (4.5, "expected a line number"),
        (None, "no answer"),
        (True, "expected"),
    ):
        with refused(match):
            expect.line(wrong, 4)


def test_arrays():
    expect.array(torch.ones(2, 3), np.ones((2, 3)), "f(x)")
    expect.array(1, 1.0, "f(x)")
    expect.array([np.nan], [np.nan], "f(x)")
    with refused(r"f\(x\) should have shape \(2,\), it has \(3,\)"):
        expect.array([1, 2, 3], [1, 2], "f(x)")
    with refused(r"f\(x\) should give 2 at index \(1, 0\), it gave 5"):
        expect.array([[1], [5]], [[1], [2]], "f(x)")
    with refused(r"f\(x\) returned nothing"):
        expect.array(None, 1.0, "f(x)")
    with refused(r"f\(x\) should return numbers"):
        expect.array("abc", 1.0, "f(x)")
    with refused(r"should give 2 at index 1, it gave 3: no clamp"):
        expect.array([1, 3], [1, 2], "f(x)", traps=[("wrong sign", [1, -2]), ("no clamp", [1, 3])])
    with refused("it gave nan"):
        expect.array([np.nan], [1.0], "f(x)")


def test_refusals():
    def refuses_bits(bits):
        raise ValueError(f"bits must be 1 or more, got {bits}")

    expect.refuses(refuses_bits, 0, naming="bits", of="bits = 0")
    with refused("does not name scale"):
        expect.refuses(refuses_bits, 0, naming="scale", of="scale = 0")
    expect.refuses(refuses_bits, 0, naming="scale or bits", of="bits = 0")
    with refused("does not name b"):
        expect.refuses(refuses_bits, 0, naming="b", of="b = 0")
    with refused("should raise ValueError naming bits, it returned 3"):
        expect.refuses(lambda bits: 3, 0, naming="bits", of="bits = 0")
    with refused("it raised ZeroDivisionError"):
        expect.refuses(lambda bits: 1 / bits, 0, naming="bits", of="bits = 0")


def test_unchanged_and_finite():
    expect.unchanged(np.array([1.0, np.nan]), np.array([1.0, np.nan]), "x")
    with refused("changed its input x"):
        expect.unchanged(np.ones(2), np.zeros(2), "x")
    assert expect.finite(torch.tensor(2.5), "f(x)") == 2.5
    for odd, match in ((np.inf, "should be finite"), ([1, 2], "one number"), (None, "returned nothing")):
        with refused(match):
            expect.finite(odd, "f(x)")
