"""What lies in a folder, a zip or a tar, as a tree, whoever packed it.

Nothing is ever written under a name that an archive gives: entries go to numbered files of a folder of our own, and
the names stay in the tree. Sizes, numbers and depths are bounded before and while unpacking. What cannot be had keeps
its place in the tree with the reason (`why`), so that one bad entry costs nobody else's work.
"""

import bz2
import contextlib
import errno
import gzip
import itertools
import lzma
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from autograder.collecting.names import ARCHIVE, is_dropping, nfc

FILE = 256 * 2**20  # bytes of one file
RATIO, FLOOR = 200, 64 * 2**20  # an archive may unpack to so many times its size, and always to so much
DEEP = 20  # folders within folders
LONG = 255  # letters of a name
CHUNK = 2**20
OURS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}


class Refused(Exception):
    """An archive that is not opened; the message says why."""


@dataclass
class Node:
    """A file (path: where its bytes lie) or a folder (children: {name: Node}). why: why it cannot be had."""

    name: str
    path: Path | None = None
    children: "dict[str, Node] | None" = None
    why: str = ""


@dataclass
class Room:
    """How much may still be unpacked."""

    bytes: int
    entries: int


@dataclass
class Shelf:
    """Numbered files in a folder of our own."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new(self) -> Path:
        return self.folder / f"{next(self._numbers):06}"


class Entry(NamedTuple):
    """name: as the archive has it; why: the reason not to read it, or ""."""

    name: str
    size: int
    why: str
    same: object  # equal for equal content
    read: object  # a function that opens it


def scan(folder: Path, room: Room, depth: int = 0) -> Node:
    """The tree of a folder; links and devices keep their place and are not followed. Raises OSError, Refused."""
    root = Node(folder.name, children={})
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = nfc(entry.name)
        room.entries -= 1
        if room.entries < 0:
            raise Refused("it holds more files than anybody uploads")
        if is_dropping(name):
            continue
        node = Node(name, Path(entry.path))
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            node.why = "it is a link or a device"
        elif entry.is_dir():
            try:
                node = scan(Path(entry.path), room, depth + 1) if depth < DEEP else Node(name, why=_too_deep())
            except PermissionError:
                node.why = "it may not be read here"
            node.name = name
        root.children[entry.name if name in root.children else name] = node
    return root


def opened(node: Node, shelf: Shelf, room: Room) -> Node:
    """The tree of an archive, its files on the shelf. Raises Refused, and OSError where the machine cannot."""
    try:
        with contextlib.ExitStack() as stack:
            entries = _entries(node, shelf, room, stack)
            return _unpacked(node, entries, shelf, room)
    except Refused:
        raise
    except Exception as why:
        if isinstance(why, OSError) and why.errno in OURS:
            raise
        unreadable = isinstance(why, PermissionError)
        raise Refused("it may not be read here" if unreadable else "the archive is damaged, or none") from why


def _entries(node: Node, shelf: Shelf, room: Room, stack: contextlib.ExitStack) -> Iterator[Entry]:
    kind = ARCHIVE.fullmatch(node.name) and node.name.rpartition(".")[2].casefold()
    with node.path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise Refused("the archive is empty")
    if head.startswith((b"Rar!", b"7z\xbc\xaf")) or (kind in ("rar", "7z") and not head.startswith(b"PK")):
        raise Refused("only zip and tar archives are opened")
    if head.startswith(b"PK") or (kind == "zip" and zipfile.is_zipfile(node.path)):
        return _zip(node.path, room, stack)
    size = node.path.stat().st_size
    for magic, read in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", _xz)):
        if head.startswith(magic):
            path, most = shelf.new(), min(room.bytes, max(FLOOR, RATIO * size))
            with read(node.path) as packed:
                room.bytes -= _copy(packed, path, most)
            if tarfile.is_tarfile(path):
                return _tar(path, room, stack)
            name = re.sub(r"\.gz$", "", node.name, flags=re.IGNORECASE)
            return iter([Entry(name, path.stat().st_size, "", None, partial(path.open, "rb"))])
    return _tar(node.path, room, stack)


def _xz(path: Path) -> IO[bytes]:
    """An xz file whose dictionary fits into memory."""
    with path.open("rb") as file:
        lzma.LZMADecompressor(memlimit=128 * 2**20).decompress(file.read(CHUNK), 1)
    return lzma.open(path)


def _zip(path: Path, room: Room, stack: contextlib.ExitStack) -> Iterator[Entry]:
    with path.open("rb") as file:  # before zipfile keeps something of each in memory
        if sum(chunk.count(b"PK\x01\x02") for chunk in iter(lambda: file.read(CHUNK), b"")) > 2 * room.entries:
            raise Refused(f"it holds more than {room.entries:,} files")
    archive = stack.enter_context(zipfile.ZipFile(path))
    sizes = [info.file_size for info in archive.infolist()]
    if len(sizes) > room.entries:
        raise Refused(f"it holds more than {room.entries:,} files")
    if sum(size for size in sizes if size <= FILE) > min(room.bytes, max(FLOOR, RATIO * path.stat().st_size)):
        raise Refused("it unpacks to more than anybody uploads")
    for info in archive.infolist():
        if info.is_dir():
            yield Entry(_zip_name(info), 0, "", None, None)
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        why = "it is encrypted" if info.flag_bits & 1 else ""
        why = why or ("it is a link or a device" if kind not in (0, stat.S_IFREG, stat.S_IFDIR) else "")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
            why = why or "it is packed in a way that is not read here"
        yield Entry(_zip_name(info), info.file_size, why, (info.CRC, info.file_size), lambda i=info: archive.open(i))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Old programs write UTF-8 without saying so, and Windows' signs between folders."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _tar(path: Path, room: Room, stack: contextlib.ExitStack) -> Iterator[Entry]:
    archive = stack.enter_context(tarfile.open(path, "r:"))  # noqa: SIM115
    for number, member in enumerate(archive):
        if number > room.entries:
            raise Refused(f"it holds more than {room.entries:,} files")
        if member.isdir():
            yield Entry(member.name + "/", 0, "", None, None)
            continue
        why = "" if member.isreg() and not member.issparse() else "it is a link or a device"
        yield Entry(member.name, member.size, why, number, lambda m=member: archive.extractfile(m))


def _unpacked(node: Node, entries: Iterator[Entry], shelf: Shelf, room: Room) -> Node:
    root, same = Node(node.name, children={}), {}
    most = max(FLOOR, RATIO * node.path.stat().st_size)
    for entry in entries:
        room.entries -= 1
        if room.entries < 0:
            raise Refused("it holds too many files")
        parts, why = _parts(entry.name)
        if why:
            root.children[f"{entry.name[:200]} "] = Node(nfc(entry.name[:200]), why=why)
            continue
        if not parts or any(is_dropping(part) for part in parts) or entry.read is None:
            continue
        place = _place(root, parts)
        if place is None or parts[-1] in place.children:
            key = tuple(parts)
            if place is None or same.get(key, key) != entry.same:
                root_of = (place or root).children
                root_of[parts[-1]] = Node(parts[-1], why="the archive holds two things of this name")
            continue
        same[tuple(parts)] = entry.same
        leaf = place.children[parts[-1]] = Node(parts[-1], shelf.new(), why=entry.why)
        if not leaf.why and entry.size > FILE:
            leaf.why = f"it is larger than {FILE >> 20} MiB"
        if leaf.why:
            continue
        if entry.size > min(room.bytes, most):
            raise Refused("it unpacks to more than anybody uploads")
        try:
            with entry.read() as file:
                written = _copy(file, leaf.path, entry.size)
            if written != entry.size:
                raise EOFError
        except Refused:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in OURS:
                raise
            leaf.why = "it is encrypted" if "password" in str(error) else "it is damaged"
            written = entry.size
        room.bytes, most = room.bytes - written, most - written
    return root


def _parts(name: str) -> tuple[list[str], str]:
    """(the folders and the name of an entry, why it is not taken)."""
    name = nfc(name)
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return parts, "its name is that of a place outside of the archive"
    if ".." in parts:
        return parts, "its name leads out of the archive"
    if len(parts) > DEEP:
        return parts, _too_deep()
    return parts, f"its name has more than {LONG} letters" if any(len(part) > LONG for part in parts) else ""


def _place(root: Node, parts: list[str]) -> Node | None:
    """The folder for an entry; None where a file of that name stands in the way."""
    for part in parts[:-1]:
        root = root.children.setdefault(part, Node(part, children={}))
        if root.children is None:
            return None
    return root


def _copy(source: IO[bytes], path: Path, most: int) -> int:
    """How many bytes were written; raises Refused where there are more than `most`."""
    written = 0
    with path.open("wb") as target:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > most:
                raise Refused("it unpacks to more than anybody uploads")
            target.write(chunk)
    return written


def _too_deep() -> str:
    return f"it lies more than {DEEP} folders deep"
