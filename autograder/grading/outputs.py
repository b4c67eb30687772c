"""The outputs of one cell as a notebook may hold them: cut where there is too much, in characters that can be sent."""

import json
import re

import nbformat

#: Not printable and not needed for it: C0 but for tab, line ends, backspace and the colours' escape; C1; surrogates.
UNPRINTABLE = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
MESSAGE = 10_000  # characters of an error's message
TRACEBACK = 10 * MESSAGE  # characters of its traceback
PIECES = 1000  # outputs of one cell
LEVELS = 50  # of JSON within JSON
FORMS = 20  # in which one thing is displayed


class Outputs:
    """Collects a cell's outputs up to a number of bytes; what is above is left out, and a last output says so."""

    def __init__(self, most: int):
        self.most, self._clears = most, False
        self._clear()

    def _clear(self) -> None:
        self._said, self._kept, self._left_out, self._clears = 0, [], 0, False

    @property
    def kept(self) -> list:
        if not self._left_out:
            return self._kept
        note = f"\n[{self._left_out:,} bytes of output were left out here: a cell may show {self.most >> 10} KiB]\n"
        return [*self._kept, nbformat.v4.new_output("stream", name="stdout", text=note)]

    def add(self, kind: str, content: dict) -> None:
        """Take one message of a kernel, whoever made it; what is no output is nothing."""
        if kind == "clear_output":
            self._clears = True  # with `wait`, when something else is there to be shown
            if content.get("wait") is not True:
                self._clear()
        elif kind == "left_out":  # by the process itself, which would have sent more than one message may hold
            size = content.get("size")
            self._left_out += size if type(size) is int and 0 < size < 2**62 else 0
        elif kind == "error":
            self._error(error(content.get("ename"), content.get("evalue"), content.get("traceback")))
        elif kind == "stream" and content.get("name") in ("stdout", "stderr") and isinstance(content.get("text"), str):
            self._stream(content["name"], content["text"])
        elif kind in ("display_data", "execute_result") and isinstance(content.get("data"), dict):
            data = _forms(content["data"])
            count = {"execution_count": None} if kind == "execute_result" else {}
            if data and self._fits(sum(map(_size, data.values()))):
                self._kept.append(nbformat.v4.new_output(kind, data=nbformat.from_dict(data), **count))

    def _error(self, output) -> None:
        """The first one is kept however much was said before."""
        self._show()
        first = all(before.output_type != "error" for before in self._kept)
        if first or self._fits(len(output.evalue) + sum(map(len, output.traceback))):
            self._kept.append(output)

    def _stream(self, name: str, text: str) -> None:
        self._show()
        room = max(0, self.most - self._said)
        shown = printable(text[:room])[:room]
        self._said += len(shown)
        last = self._kept[-1] if self._kept else None
        if last and last.output_type == "stream" and last.name == name:
            last.text += shown  # one stream stays in one piece, as front ends show it
        elif shown and len(self._kept) < PIECES:
            self._kept.append(nbformat.v4.new_output("stream", name=name, text=shown))
        elif shown:
            self._left_out += len(shown)
        self._left_out += max(0, len(text) - room)

    def _show(self) -> None:
        if self._clears:
            self._clear()

    def _fits(self, size: int) -> bool:
        self._show()
        if self._said + size > self.most or len(self._kept) >= PIECES:
            self._left_out += size
            return False
        self._said += size
        return True


def printable(text) -> str:
    """`text` in characters that a page and a file can hold: what is none is shown as its escape."""
    return UNPRINTABLE.sub(_escape, text if isinstance(text, str) else "")


def _escape(found: re.Match) -> str:
    return found[0].encode("unicode_escape").decode()


def error(name, message, traceback=None):
    """An error output of strings, whatever was given."""
    name, message = (part if isinstance(part, str) else "" for part in (name, message))
    length = len(message)
    message = printable(message[:MESSAGE]) + (f" ... ({length:,} characters)" if length > MESSAGE else "")
    name, lines, left = printable(name[:200]) or "Error", [], TRACEBACK
    for line in traceback[:200] if isinstance(traceback, list) else ():
        lines.append(printable(line[: min(left, MESSAGE)] if isinstance(line, str) else ""))
        left -= len(lines[-1])
    return nbformat.v4.new_output("error", ename=name, evalue=message, traceback=lines or [f"{name}: {message}"])


def _forms(data: dict) -> dict:
    """{type: content} of what is displayed: text, and for types of JSON what JSON can hold."""
    forms = {}
    for name in list(data)[:FORMS]:
        value = data[name]
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            value = "".join(value)
        if isinstance(value, str):
            forms[printable(name)[:100]] = printable(value)
        elif (name == "application/json" or name.endswith("+json")) and _is_shallow(value, LEVELS):
            forms[printable(name)[:100]] = _whole_characters(value)
    return forms


def _is_shallow(value, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inside)


def _whole_characters(value):
    """Data of JSON without half characters and without numbers that are none."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return json.loads(text, parse_constant=lambda name: None)


def _size(value) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value))
