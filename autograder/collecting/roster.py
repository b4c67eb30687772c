"""roster.csv in the course's folder: whom the names of uploads stand for, and who is missing.

    id,name,platform_id,email
    ada,Ada Lovelace,101,ada@example.org

`id` is the student's id in nbgrader; the other columns may be left out or empty. Excel's semicolons are fine.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from autograder import CourseError
from autograder.collecting.names import Who, as_id, nfc

NAME = "roster.csv"
#: How the columns may be called; letters and digits count, their case does not. Others are passed over.
COLUMNS = {
    "id": ("id", "studentid", "student", "username", "user", "login", "loginid", "sisloginid"),
    "name": ("name", "fullname", "studentname", "displayname"),
    "first": ("firstname", "first", "givenname"),
    "last": ("lastname", "last", "surname", "familyname"),
    "platform_id": (
        *("platformid", "platformsid", "canvasid", "moodleid", "brightspaceid", "lmsid", "lmsuserid"),
        *("idnumber", "orgdefinedid", "sisuserid"),
    ),
    "email": ("email", "emailaddress", "mail"),
}


class Person(NamedTuple):
    """One student; "" is what nobody has said. platform_id: by which the learning platform knows them."""

    id: str
    name: str = ""
    platform_id: str = ""
    email: str = ""


@dataclass
class Roster:
    """people: {id: person}. The other tables lead from what an upload says to ids."""

    people: dict[str, Person] = field(default_factory=dict)
    _by_name: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _by_number: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def knows(self, name: str) -> bool:
        return _key(name) in self._by_name

    def find(self, who: Who) -> set[str]:
        """The ids that a person can have: one where all is well, none for a stranger, several for namesakes.

        Moodle's number is another one in each assignment: it tells namesakes apart, and nobody by itself.
        """
        named, numbered = self._by_name.get(_key(who.person), set()), self._by_number.get(who.number, set())
        if who.person in named:  # an id before a name
            return {who.person}
        if len(named & numbered) == 1 or (not named and who.form != "Moodle"):
            return named & numbered or numbered
        return named


def of(root: str | Path) -> Roster:
    """What `read` says of the roster in a course's folder."""
    return read(Path(root, NAME))


def read(path: Path) -> Roster:
    """The roster; an empty one where there is no file. Raises CourseError, with the line, for what cannot be used."""
    roster = Roster()
    if not path.exists():
        return roster
    try:
        raw = path.read_bytes()
    except OSError as why:
        raise CourseError(f"{path.name} cannot be read: {why}") from why
    try:
        text = raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    head = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
    try:
        columns = [_column(title) for title in next(lines, [])]
        if "id" not in columns:
            raise CourseError(
                f"{path.name} needs a first line with a column named id, such as: id,name,platform_id,email"
            )
        for values in lines:
            row = dict(zip(columns, (nfc(value.strip()) for value in values), strict=False))
            if any(row.values()):
                _add(roster, row, f"{path.name}, line {lines.line_num}")
    except csv.Error as why:
        raise CourseError(f"{path.name}, line {lines.line_num}: {why}") from why
    return roster


def _add(roster: Roster, row: dict[str, str], place: str) -> None:
    student = nfc(row.get("id", ""))
    if not student or as_id(student) != student:
        raise CourseError(f"{place}: {student!r} cannot be an id: no / \\ : * ? [ ] and no . at its ends")
    if student in roster.people:
        raise CourseError(f"{place}: the id {student} stands in it twice")
    first, last = row.get("first", ""), row.get("last", "")
    whole = row.get("name") or ", ".join(filter(None, (last, first)))
    person = roster.people[student] = Person(student, whole, row.get("platform_id", ""), row.get("email", ""))
    words = re.split(r"[\s,]+", whole)
    turned = [" ".join(words[index:] + words[:index]) for index in range(len(words))]  # Canvas writes the surname first
    for name in (student, person.email, whole, *turned):
        if _key(name):
            roster._by_name[_key(name)].add(student)
    if person.platform_id:
        roster._by_number[person.platform_id].add(student)


def _column(title: str) -> str:
    title = re.sub(r"[^a-z0-9]", "", title.casefold())
    return next((column for column, titles in COLUMNS.items() if title in titles), title)


def _key(name: str) -> str:
    """A name without what platforms change in it: case, accents, and all but letters and digits."""
    letters = unicodedata.normalize("NFKD", nfc(name).casefold())
    return "".join(sign for sign in letters if sign.isalnum())
