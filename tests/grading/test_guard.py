"""Whatever a learner's process sends as a reply, the test kernel gets JSON text that it can read, or an error."""

import base64
import json
import random
import time

import numpy as np
import pytest
import torch

from autograder.grading import border, guard


def value(data) -> str:
    return json.dumps({"value": data})


def told(text: object) -> list:
    """The error that comes of `text`."""
    reply = json.loads(guard.checked(text))
    assert list(reply) == ["error"]
    assert all(type(part) is str for part in reply["error"])
    return reply["error"]


SOUND = [
    {"value": 3}, {"value": None, "after": []}, {"value": {"list": [1, "a", {"float": "nan"}]}, "end": False},
    {"missing": "ex_1_1"}, {"method": True},
    {"value": {"tuple": [{"given": 0}]}, "after": [[0, {"list": [{"given": 1}]}]]},
    {"value": {"handle": [12, "Layer"]}}, {"value": {"also": [{"tuple": [1, 2]}, 12, "Params"]}},
    {"value": {"also": ["a", 12, "Text"]}}, {"value": {"iterator": [[1, 2], ["KeyError", "no", ""]]}},
    {"value": {"dict": [[{"tuple": [1, {"handle": [3, "x"]}]}, {"set": []}]]}},
]  # fmt: skip


@pytest.mark.parametrize("reply", SOUND, ids=str)
def test_a_sound_reply_passes_as_it_is(reply):
    text = json.dumps(reply)
    assert guard.checked(text) == text


@pytest.mark.parametrize(
    "text",
    [None, 5, b"{}", [], {"value": 1}, "", " ", "null", "[]", "3", "{}", '"a"', "{", "NaN", "\ud83d", '{"value": "ä"}',
     '{"value": 1} 2', '{"value": NaN}', '{"value": Infinity}', '{"value": -Infinity}',
     type("S", (str,), {})('{"value": 1}')],
    ids=lambda text: ascii(text)[:30],
)  # fmt: skip
def test_what_is_no_reply_becomes_an_error(text):
    assert told(text)[1].startswith("the answer's process sent what is no reply")


UNSOUND = [
    [], {}, {"a": 1, "b": 2}, {"eval": "1"}, {"list": 1}, {"list": {}}, {"dict": [1]}, {"dict": [[1]]},
    {"dict": [[1, 2, 3]]},
    {"dict": [[{"list": []}, 1]]}, {"set": [{"dict": []}]}, {"set": [{"tuple": [{"list": []}]}]},
    {"keys": [{"array": []}]},
    {"slice": [1, 2]}, {"range": [0, 1, 0]}, {"range": [0, 10**12, 1]}, {"range": [10**12, 0, -1]},
    {"range": [0, 1.5, 1]},
    {"ellipsis": 1}, {"int": "5"}, {"int": 5}, {"int": "0x"}, {"int": "0x" + "f" * (10**6 + 1)}, {"float": "1"},
    {"float": []},
    {"complex": [1]}, {"complex": ["a", 1.0]}, {"complex": [{"list": []}, 1.0]}, {"fraction": [1, 0]},
    {"fraction": [1.5, 2]},
    {"fraction": [1, {"int": "0x0"}]}, {"fraction": [1, {"int": "0x" + "f" * 20_000}]}, {"decimal": "one"},
    {"decimal": 1},
    {"decimal": "1E999999999"}, {"text": "7aC"}, {"text": "/w=="}, {"text": 5}, {"bytes": "ä"}, {"bytes": "?"},
    {"bytes": None},
    {"bytearray": []}, {"memoryview": ["d", [2], "AAAA"]}, {"memoryview": ["O", [0], ""]}, {"pyarray": ["u", ""]},
    {"pyarray": ["d", "AAAA"]}, {"array": ["O", [1], ""]}, {"array": ["|O8", [1], "AAAAAAAAAAA="]},
    {"array": ["<f8", [1]]},
    {"array": ["<f8", [2], "AAAAAAAAAAA="]}, {"array": ["<f8", [-1], "AAAAAAAAAAA="]},
    {"array": ["<f8", [True], "AAAAAAAAAAA="]},
    {"array": ["<f8", [0, 2**60], ""]}, {"array": ["<f8", [1] * 33, "AAAAAAAAAAA="]},
    {"array": ["<f8", "1", "AAAAAAAAAAA="]},
    {"array": ["|V8", [1], "AAAAAAAAAAA="]}, {"array": ["f8,O", [1], ""]}, {"array": ["<U0", [10**7], ""]},
    {"scalar": ["<f8", [1], "AAAAAAAAAAA="]}, {"tensor": ["load", [1], ""]}, {"tensor": ["float32", [1], "AAAAAAA="]},
    {"tensor": ["quint8", [1], "AA=="]}, {"tensor": [[], [1], "AA=="]}, {"objects": [[2], [1]]}, {"objects": [[], 5]},
    {"records": [[1], []]}, {"records": [[1], [["a", 3]]]},
    {"records": [[2], [["a", {"array": ["|u1", [1], "AA=="]}]]]},
    {"records": [[1], [["a", {"array": ["|u1", [1], "AA=="]}], ["a", {"array": ["|u1", [1], "AA=="]}]]]},
    {"iterator": [1]}, {"iterator": [[], ["SystemExit", "", ""]]}, {"iterator": [[], ["ValueError", "\x1b", ""]]},
    {"given": -1}, {"given": "0"}, {"handle": ["1", "a"]}, {"handle": [-1, "a"]}, {"handle": [1, "a\nb"]},
    {"handle": [2**70, "a"]},
    {"handle": [1, "a" * 101]}, {"also": [{"array": ["|u1", [], "AA=="]}, 1, "a"]}, {"also": [{"list": []}, 1]},
    {"also": [[], 1, "a"]},
]  # fmt: skip


@pytest.mark.parametrize("data", UNSOUND, ids=lambda data: str(data)[:60])
def test_unsound_data_becomes_an_error_wherever_it_stands(data):
    for reply in (
        {"value": data},
        {"value": {"list": [{"tuple": [data]}]}},
        {"value": {"dict": [[1, data]]}},
        {"value": 1, "after": [[0, {"list": [data]}]]},
        {"value": {"also": [{"list": [data]}, 1, "a"]}},
        {"value": {"iterator": [[data], None]}},
    ):
        assert "no reply" in told(json.dumps(reply))[1]


@pytest.mark.parametrize(
    "reply",
    [{"value": 1, "error": ["ValueError", "", ""]}, {"after": []}, {"value": 1, "more": 2}, {"missing": 5},
     {"method": 1}, {"method": True, "value": 1}, {"value": 1, "end": True}, {"value": {"list": []}, "end": 1},
     {"error": 5}, {"error": []}, {"error": ["ValueError", 5, ""]}, {"error": ["ValueError", "", "", ""]},
     {"error": {"0": 1}}, {"value": 1, "after": {}},
     {"value": 1, "after": [[0]]}, {"value": 1, "after": [[0, {"given": 0}]]}, {"value": 1, "after": [[0, 5]]},
     {"value": 1, "after": [{"tuple": []}, {"dict": []}]}],
    ids=str,
)  # fmt: skip
def test_members_of_another_form_become_an_error(reply):
    assert "no reply" in told(json.dumps(reply))[1]


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "StopIteration", "GeneratorExit", "UserWarning",
                                  "SyntaxError", "BaseException", "ExceptionGroup", "UnicodeDecodeError", "print",
                                  "", "x" * 10**6])  # fmt: skip
def test_errors_that_mean_something_to_a_kernel_are_runtime_errors(kind):
    error = told(json.dumps({"error": [kind, "said", "line 3"]}))
    assert error == ["RuntimeError", f"{kind[:100]}: said", "line 3"]
    assert type(border.error_of(error)) is RuntimeError


@pytest.mark.parametrize("kind", sorted(border.ERRORS))
def test_the_other_errors_cross_and_can_be_raised(kind):
    error = told(json.dumps({"error": [kind, "said", "line 3"]}))
    assert error == [kind, "said", "line 3"]
    assert type(border.error_of(error)).__name__ == kind


def test_an_errors_message_can_be_shown():
    error = told(json.dumps({"error": ["ValueError", "\ud83d\x1b[31m\r\0\n\tä" + "x" * 10**6, "\x1b" * 10**6]}))
    assert error[1].startswith("\\ud83d\\x1b[31m\\x0d\\x00\n\täxxx")
    assert len(error[1]) == 2000
    assert len(error[2]) == 500
    assert "\x1b" not in "".join(error)


def test_a_learners_assertion_is_marked_as_theirs():
    assert told('{"error": ["AssertionError", "all is well", ""]}')[2]
    assert told('{"error": ["ValueError", "all is well", ""]}')[2] == ""


SIZE = border.LIMIT
#: Made when they are needed, since they are some 60 MB each.
LARGE = {
    "brackets": lambda: "[" * SIZE,
    "braces": lambda: '{"a":' * (SIZE // 5),
    "quotes": lambda: '"' * SIZE,
    "backslashes": lambda: '"' + "\\" * (SIZE - 1),
    "escaped quotes": lambda: '"' + '\\"' * (SIZE // 2 - 1),
    "commas": lambda: "[" + "," * (SIZE - 1),
    "digits": lambda: "1" * SIZE,
    "digits in a value": lambda: '{"value":' + "1" * (SIZE - 20) + "}",
    "a fraction's digits": lambda: '{"value":0.' + "1" * (SIZE - 20) + "}",
    "spaces": lambda: " " * SIZE,
    "lists": lambda: '{"value":{"list":[' + "[]," * (SIZE // 3 - 20) + "[]]}}",
    "too long": lambda: '"' + "a" * SIZE + '"',
    "members": lambda: "{" + ",".join(f'"{k}":1' for k in range(1_000_000)) + "}",
    "hexadecimal": lambda: value({"int": "0x" + "f" * (SIZE - 40)}),
    "200,000 levels": lambda: "[" * 200_000,
    "500 levels": lambda: '{"value":' + '{"list":[' * 500 + "]}" * 500 + "}",
    "a large exponent": lambda: '{"value":{"list":[1e999,[]]}}',
    "nulls": lambda: "\0" * SIZE,
    "outside ASCII": lambda: "ä" * SIZE,
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_becomes_an_error_in_time(name):
    text = LARGE[name]()
    begun = time.process_time()
    assert "no reply" in told(text)[1]
    assert time.process_time() - begun < 10  # it takes one or two; much more would hold up a class


def test_large_data_pass():
    for data in (
        np.zeros(5_000_000),
        "a" * 60_000_000,
        b"a" * 40_000_000,
        list(range(190_000)),
        torch.zeros(10**7),
        [[]] * 99_000,
    ):
        text = value(border.encode(data))
        assert guard.checked(text) is text


def test_whatever_happens_to_sound_text_it_is_read_or_refused():
    """Sound replies with characters changed, taken away and doubled: what passes, `decode` takes."""
    draw = random.Random(0)
    plain = [
        1,
        "a",
        {"b": (1, 2.5)},
        np.arange(3.0),
        torch.ones(2),
        {1, 2},
        10**700,
        1j,
        range(3),
        np.array(["a"]),
        iter([1]),
    ]
    whole = value(border.encode(plain))
    for _ in range(3000):
        text = list(whole)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(text))
            text[place] = draw.choice([*'[]{},:"0123456789.-eEntfAx\\', "", text[place] * 2, "list", "\ud83d"])
        reply = json.loads(guard.checked("".join(text)))
        if "value" in reply:
            border.decode(reply["value"])
        else:
            border.error_of(reply["error"])


def test_bytes_that_are_no_truth_values_become_some():
    ones = base64.b64encode(bytes([0, 1, 2, 255])).decode()
    for kind, data in (("array", ["|b1", [4], ones]), ("tensor", ["bool", [4], ones])):
        text = guard.checked(value({kind: data}))
        assert border.decode(json.loads(text)["value"]).tolist() == [False, True, True, True]
