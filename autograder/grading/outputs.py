"""The outputs of one cell as a notebook may hold them: cut where there is too much, in characters that can be sent."""

import re

import nbformat

#: Not printable and not needed for it: C0 but for tab, line ends, backspace and the colours' escape; C1; surrogates.
UNPRINTABLE = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
MESSAGE = 10_000  # characters of an error's message
PIECES = 1000  # outputs of one cell


class Outputs:
    """Collects a cell's outputs up to a number of bytes; what is above is left out, and a last output says so."""

    def __init__(self, most: int):
        self.most, self._said, self._kept, self._left_out = most, 0, [], 0

    @property
    def kept(self) -> list:
        if not self._left_out:
            return self._kept
        note = f"\n[{self._left_out:,} bytes of output were left out here: a cell may show {self.most >> 10} KiB]\n"
        return [*self._kept, nbformat.v4.new_output("stream", name="stdout", text=note)]

    def add(self, kind: str, content: dict) -> None:
        """Take one message of a kernel; what is no output is nothing."""
        if kind == "error":
            return self._keep(error(content.get("ename"), content.get("evalue"), content.get("traceback")))
        if kind == "clear_output":
            self._kept, self._said, self._left_out = [], 0, 0
        elif kind == "stream" and content.get("name") in ("stdout", "stderr"):
            self._stream(content["name"], printable(content.get("text")))
        elif kind in ("display_data", "execute_result") and isinstance(content.get("data"), dict):
            data = {str(name): value for name, value in content["data"].items() if isinstance(value, str | list | dict)}
            data = {name: printable(value) if isinstance(value, str) else value for name, value in data.items()}
            size = len(str(data))
            if self._fits(size):
                count = {"execution_count": None} if kind == "execute_result" else {}
                self._keep(nbformat.v4.new_output(kind, data=nbformat.from_dict(data), **count))
        return None

    def _stream(self, name: str, text: str) -> None:
        room = max(0, self.most - self._said)
        if text[room:]:
            self._left_out += len(text) - room
            text = text[:room]
        self._said += len(text)
        last = self._kept[-1] if self._kept else None
        if text and last and last.output_type == "stream" and last.name == name:
            last.text += text  # one stream stays in one piece, as front ends show it
        elif text and len(self._kept) < PIECES:
            self._keep(nbformat.v4.new_output("stream", name=name, text=text))

    def _fits(self, size: int) -> bool:
        if self._said + size > self.most or len(self._kept) >= PIECES:
            self._left_out += size
            return False
        self._said += size
        return True

    def _keep(self, output) -> None:
        self._kept.append(output)


def printable(text) -> str:
    """`text` in characters that a page and a file can hold: what is none is shown as its escape."""
    return UNPRINTABLE.sub(
        lambda found: found[0].encode("unicode_escape").decode(), text if isinstance(text, str) else ""
    )


def error(name, message, traceback=None):
    """An error output of strings, whatever was given."""
    name, message = printable(str(name))[:200], printable(str(message))
    if len(message) > MESSAGE:
        message = f"{message[:MESSAGE]} ... ({len(message):,} characters)"
    lines = [printable(str(line))[:MESSAGE] for line in traceback[:200]] if isinstance(traceback, list) else []
    return nbformat.v4.new_output("error", ename=name, evalue=message, traceback=lines or [f"{name}: {message}"])
