"""From what lies in downloaded/CHAPTER/archive to uploads: whose it is, from when, which notebook, which files.

The tree is read from outside inwards. The first name that names a person decides, and all below is that person's,
whatever it is called. What names nobody is a bundle and is looked into: a download of the whole class, a folder.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from autograder.collecting import names
from autograder.collecting.archives import Node, Refused, Room, Shelf, opened, scan
from autograder.collecting.names import Who

CLASS = {"bytes": 64 * 2**30, "entries": 200_000}  # what may be unpacked for everybody,
ONE = {"bytes": 512 * 2**20, "entries": 10_000}  # and of one person's upload
NESTED = 4  # archives within archives
FEW = 500  # files beside a notebook
NO_FILE = "it is a text or a link, and no notebook was handed in with it"
NOBODY = "names nobody: expected STUDENT_..._{chapter}.ipynb, or a platform's form"


@dataclass
class Upload:
    """What one person handed in at one time.

    label: its name as it was uploaded. notebooks: {name: where it lies}, the one to grade first; files: what lies
    beside it. order: of two without a time, the higher is the newer one. why: the reason why nothing of it can be
    taken, or ""; empty: because there is no notebook in it. notes: what a person should look at.
    """

    who: Who
    label: str
    notebooks: dict[str, Path] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    order: tuple = ()
    why: str = ""
    empty: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def time(self) -> datetime | None:
        return self.who.time


class Piece(NamedTuple):
    """A loose file: one of those that make up an upload."""

    who: Who
    label: str
    node: Node


@dataclass
class Found:
    """older: {label: why} of loose files of which a newer copy lies beside them; aside: what names nobody and is no
    notebook.
    """

    uploads: list[Upload] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    older: dict[str, str] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)


class Finder:
    """who: from a name to a person, or None."""

    def __init__(self, chapter: str, who: Callable[[str], Who | None], shelf: Shelf):
        self.chapter, self.who, self.shelf = chapter, who, shelf
        self.found, self.room = Found(), Room(**CLASS)

    def find(self, archive: Path) -> Found:
        """Raises OSError, and Refused where the folder holds more than anybody uploads."""
        self._level(scan(archive, self.room), "", 0)
        return self.found

    def _level(self, folder: Node, place: str, depth: int) -> None:
        """All that stands side by side in a bundle."""
        undecided, loose = [], defaultdict(list)
        for child in sorted(folder.children.values(), key=lambda child: child.name):
            label, holder = f"{place}{child.name}", child.children is not None or names.is_archive(child.name)
            who = self.who(child.name)
            if who and (child.why or who.kind):
                self.found.uploads.append(Upload(who, label, why=child.why or NO_FILE, empty=not child.why))
            elif child.why:
                self.found.skipped[label] = child.why
            elif who and holder:
                self._own(child, who, label)
            elif who:
                who = who._replace(file=who.file or child.name)
                loose[who._replace(file="", order=0, late=False)].append(Piece(who, label, child))
            elif holder:
                undecided.append((child, label))
            elif names.is_notebook(child.name):
                self.found.skipped[label] = NOBODY.format(chapter=self.chapter)
            else:
                self.found.aside.append(label)
        for pieces in loose.values():
            self.found.uploads.append(self._joined(pieces))
        self._undecided(undecided, depth)

    def _undecided(self, holders: list[tuple[Node, str]], depth: int) -> None:
        """Folders and archives that name nobody in a known form: bundles, or people who are called that."""
        inside = []
        for child, label in holders:
            try:
                inside.append((child, label, self._inside(child, depth)))
            except Refused as why:
                self.found.skipped[label] = str(why)
        people = any(self._holds_own(tree) and not self._is_bundle(child) for child, _, tree in inside)
        for child, label, tree in inside:
            if self._is_bundle(child) or (
                not names.is_full_name(child.name) and self._is_bundle_by_content(tree, people)
            ):
                self._level(tree, f"{label}/", depth + (child.children is None))
            else:
                self._own(child, Who(names.bare(child.name)), label)

    def _is_bundle(self, node: Node) -> bool:
        return names.is_bundle(node.name, self.chapter)

    def _inside(self, node: Node, depth: int) -> Node:
        if node.children is not None:
            return node
        if depth >= NESTED:
            raise Refused(f"archives lie more than {NESTED} deep in one another")
        return opened(node, self.shelf, self.room)

    def _holds_own(self, tree: Node) -> bool:
        """Whether a notebook lies in it that names nobody."""
        return any(names.is_notebook(name) and not self.who(name) for name in tree.children)

    def _is_bundle_by_content(self, tree: Node, among_people: bool) -> bool:
        """among_people: beside it lie folders that are people's."""
        if self._holds_own(tree):
            return False
        children = list(tree.children.values())
        archives = [one for one in children if names.is_archive(one.name)]
        people = [one for one in children if one.children is not None and self._holds_own(one)]
        several = len(people) > 1 or len(archives) == len(children) > 1
        return several or (self._names_people(children) and not among_people)

    def _names_people(self, children: list[Node]) -> bool:
        for one in children:
            holder = one.children is not None or names.is_archive(one.name)
            if self.who(one.name) or (holder and names.is_full_name(one.name)):
                return True
        alone = children[0].children if len(children) == 1 else None
        return bool(alone) and self._names_people(list(alone.values()))

    def _own(self, node: Node, who: Who, label: str) -> None:
        """One person's folder or archive."""
        upload, held = Upload(who, label, order=_order(who, node.name)), {}
        try:
            self._gather(node, (), Room(**ONE), 0, held, upload.notes)
            self._must_be_one_persons(upload, held)
            self._choose(upload, held)
        except Refused as why:
            upload.why = str(why)
        self.found.uploads.append(upload)

    def _must_be_one_persons(self, upload: Upload, held: dict[tuple, Path]) -> None:
        """Raises Refused for a class's download that has a name like a person's; learners' own names are noted."""
        inside = [next(filter(None, map(self.who, place)), None) for place in held]
        if upload.who.form == "plain" and len({who.person for who in inside if who and who.form != "plain"}) > 1:
            raise Refused("it holds a platform's names of several people: a class's download must be named submissions")
        others = sorted({who.person for who in inside if who and who.form == "plain"} - {upload.who.person})
        if len(others) > 1:
            upload.notes.append(f"{upload.label} holds notebooks with the names of {', '.join(others[:9])}")

    def _gather(self, node: Node, parts: tuple, room: Room, depth: int, held: dict, notes: list[str]) -> None:
        """All files below a person's folder or archive, by their place in it. Raises Refused."""
        if node.children is None:
            if depth >= NESTED:
                raise Refused(f"archives lie more than {NESTED} deep in one another")
            node = opened(node, self.shelf, room)
            depth += 1
        for child in sorted(node.children.values(), key=lambda child: child.name):
            place = (*parts, child.name)
            if child.why:
                raise Refused(f"{child.name}: {child.why}")
            if child.children is not None:
                self._gather(child, place, room, depth, held, notes)
            elif names.is_archive(child.name):
                inner: dict = {}
                try:
                    self._gather(child, place, room, depth, inner, notes)
                    held |= inner
                except Refused as why:
                    notes.append(f"{child.name} was left out: {why}")
            else:
                held[place] = child.path

    def _choose(self, upload: Upload, held: dict[tuple, Path]) -> None:
        """The chapter's notebook of what one person handed in, other notebooks beside it, and the files there."""
        found = {place: names.own_name(place[-1], self.chapter) for place in held if names.is_notebook(place[-1])}
        own = f"{self.chapter}.ipynb"
        others = [place for place in found if re.match(r"ch\d\d_", found[place][0]) and found[place][0] != own]
        mine = sorted(
            found.keys() - set(others), key=lambda place: (found[place][0] != own, len(place), found[place][1], place)
        )
        if not mine:
            upload.why = f"{others[0][-1]} is another chapter's" if others else "; ".join(upload.notes)
            upload.empty, upload.why = not upload.why, upload.why or "it holds no notebook"
            return
        home = mine[0][:-1]
        upload.notebooks[own] = held[mine[0]]
        for place in mine[1:]:
            name = re.sub(r"(?<=\.ipynb).*", "", place[-1], flags=re.IGNORECASE)
            if place[:-1] == home and (names.as_id(name) == name and name.casefold() != own):
                upload.notebooks[name] = held[place]
        for place, path in held.items():
            inner = place[len(home) :]
            if place not in found and place[: len(home)] == home and _may_lie_beside(inner) and len(upload.files) < FEW:
                upload.files["/".join(inner)] = path

    def _joined(self, pieces: list[Piece]) -> Upload:
        """The upload that loose files of one person make up: the newest of each name."""
        named, taken, notes = defaultdict(list), {}, []
        for piece in pieces:
            name, copies = piece.who.file, ()
            if names.is_notebook(name):
                name, copies = names.own_name(name, self.chapter)
                name = f"{self.chapter}.ipynb" if piece.who.form == "plain" else name
            named[name].append(((piece.who.order, copies), piece.label, piece))
        for name, ones in named.items():
            *older, taken[name] = sorted(ones, key=lambda one: one[:2])
            for rank, label, piece in older:
                self.found.older[label] = f"{last(taken[name][1])} is newer"
                if rank == taken[name][0] and _differ(piece.node.path, taken[name][2].node.path):
                    notes.append(f"{label} and {taken[name][1]}: nothing says which is newer")
        notebooks = [one for name, one in taken.items() if names.is_notebook(name)]
        order, label, piece = max(notebooks or taken.values(), key=lambda one: one[:2])
        who = piece.who._replace(late=any(one.who.late for one in pieces))
        upload = Upload(who, label, order=order, notes=notes)
        self._choose(upload, {(name,): one[2].node.path for name, one in taken.items()})
        return upload


def last(label: str) -> str:
    """The last name of a label, which is enough beside another one."""
    return label.rpartition("/")[2]


def _order(who: Who, name: str) -> tuple:
    return who.order, tuple(int(number[:9]) for number in re.findall(r"\((\d+)\)", name))


def _differ(one: Path, other: Path) -> bool:
    return one.stat().st_size != other.stat().st_size or one.read_bytes() != other.read_bytes()


def _may_lie_beside(place: tuple[str, ...]) -> bool:
    """Whether a file can be kept under its own name. timestamp.txt is what collecting writes, never a learner."""
    plain = all(names.as_id(part) == part for part in place)
    return plain and not names.is_notebook(place[0]) and place[0].casefold() != "timestamp.txt"
