"""One person's upload takes its place in submitted/: all of it or nothing, and an older one never replaces a newer one.

Beside STUDENT/CHAPTER lies `.CHAPTER.json`, which says from which upload that came; so what a person changed by hand
is known, and stays. What is replaced is kept in downloaded/CHAPTER/replaced/.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from nbgrader.utils import parse_utc

from autograder.collecting.archives import Refused
from autograder.collecting.finding import Upload

TIMESTAMP = "timestamp.txt"
EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)


class Stands(NamedTuple):
    """What lies in submitted/STUDENT/CHAPTER. ours: nobody changed it since it was collected."""

    digest: str
    time: datetime | None
    order: tuple
    ours: bool


def holder(place: Path) -> list | None:
    """[person, number] of whoever was collected into a place; None where nobody was."""
    person = _record(place).get("person") if place.is_dir() else None
    return person if isinstance(person, list) and len(person) == 2 else None


def stands(place: Path, replaced: Path) -> Stands | None:
    """What is there; None for nothing. replaced: the folder for what was there before.

    Raises OSError, and Refused where a link or a file stands in its way.
    """
    for one in (place.parent, place):
        if one.is_symlink() or (one.exists() and not one.is_dir()):
            raise Refused(f"submitted/{one.relative_to(place.parent.parent)} is a link or a file: it was left alone")
    _recover(place, replaced)
    if not place.exists():
        return None
    found = {
        str(path.relative_to(place)): path
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".") and path != place / TIMESTAMP
    }
    digest, record, time = digest_of(found), _record(place), None
    with contextlib.suppress(OSError, ValueError, OverflowError, AttributeError):
        time = parse_utc((place / TIMESTAMP).read_text("utf-8").strip())
    ours = record.get("digest") == digest
    order = _tuple(record.get("order")) if ours else ()
    return Stands(digest, time, order, ours)


def digest_of(files: dict[str, Path]) -> str:
    """A digest of names and contents."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(repr((os.fsencode(name), files[name].stat().st_size)).encode())
        with files[name].open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()


def verdict(upload: Upload, digest: str, there: Stands | None) -> str:
    """What an upload is to what lies in submitted/: "newer", "same", "older", or "doubtful"."""
    if there is None:
        return "newer"
    if upload.time and there.time and upload.time != there.time:
        return "newer" if upload.time > there.time else "older"
    if digest == there.digest:
        return "newer" if upload.time and not there.time else "same"
    if there.time and not upload.time:
        return "doubtful"
    attachment, before = (*upload.order, 0)[0], (*there.order, 0)[0]
    if attachment and before and attachment != before:
        return "newer" if attachment > before else "older"
    return "newer" if there.ours and there.time is None else "doubtful"


def put(place: Path, upload: Upload, digest: str, replaced: Path) -> None:
    """Let an upload take its place, where `stands` has looked before. Raises OSError; then nothing has changed."""
    new, old = _beside(place, "new"), _beside(place, "old")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    try:
        for name, path in {**upload.files, **upload.notebooks}.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new / name)
        if upload.time:
            (new / TIMESTAMP).write_text(f"{upload.time:%Y-%m-%d %H:%M:%S} UTC\n", "utf-8")
        if place.exists():
            os.rename(new, old)
            _swap(old, place, new)
        else:
            os.rename(new, place)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        with contextlib.suppress(OSError):
            _recover(place, replaced)
            place.parent.rmdir()  # only where it is empty
        raise
    remember(place, upload, digest)
    _recover(place, replaced)


def remember(place: Path, upload: Upload, digest: str) -> None:
    """Write down which upload lies there."""
    record = {"person": [upload.who.person, upload.who.number], "order": upload.order, "digest": digest}
    path = _beside(place, "json")
    text = json.dumps({"upload": upload.label, **record})
    if not path.exists() or path.read_text("utf-8") != text:
        aside = path.with_suffix(".json.new")
        aside.write_text(text, "utf-8")
        os.replace(aside, path)


def _swap(ready: Path, place: Path, free: Path) -> None:
    """Two folders change places: at once where Linux can; else a command that is cut off is mended by `_recover`."""
    with contextlib.suppress(AttributeError):
        if ctypes.CDLL(None).renameat2(-100, os.fsencode(ready), -100, os.fsencode(place), EXCHANGE) == 0:
            return
    os.rename(ready, free)
    os.rename(place, ready)
    os.rename(free, place)


def _recover(place: Path, replaced: Path) -> None:
    """What was replaced is put away; where a command was cut off between two renames, it comes back.

    `.CHAPTER.new` may be half written; `.CHAPTER.old` is whole, and is never thrown away.
    """
    old = _beside(place, "old")
    if old.is_dir() and place.exists():
        replaced.mkdir(parents=True, exist_ok=True)
        taken = {int(path.name) for path in replaced.iterdir() if path.name.isdecimal()}
        shutil.move(old, replaced / str(max(taken, default=0) + 1))
    elif old.is_dir():
        os.rename(old, place)


def _beside(place: Path, kind: str) -> Path:
    return place.with_name(f".{place.name}.{kind}")


def _record(place: Path) -> dict:
    with contextlib.suppress(OSError, ValueError):
        record = json.loads(_beside(place, "json").read_text("utf-8"))
        return record if isinstance(record, dict) else {}
    return {}


def _tuple(value: object) -> tuple:
    """A nested list of numbers as JSON keeps it, as tuples."""
    return tuple(_tuple(one) if isinstance(one, list) else one for one in value) if isinstance(value, list) else ()
