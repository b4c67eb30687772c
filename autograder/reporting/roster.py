"""Who is in the class, from an optional roster.csv in the course's root."""

import csv
import io
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from autograder import CourseError

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


def read(path: Path) -> dict[str, Person]:
    """{id: person}, {} where there is no roster: comma, semicolon or tab; UTF-8 or what Excel writes instead."""
    if not path.exists():
        return {}
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    titles = [re.sub(r"[^a-z0-9]", "", title.casefold()) for title in next(rows, [])]
    places = {field: place for field, names in COLUMNS.items() for place, title in enumerate(titles) if title in names}
    if "id" not in places:
        raise CourseError(f"{path.name} has no column id: its first line names id, name, platform_id, email")
    people: dict[str, Person] = {}
    for row in rows:
        values = {
            field: unicodedata.normalize("NFC", row[place].strip())
            for field, place in places.items()
            if place < len(row)
        }
        last, first = values.pop("last", ""), values.pop("first", "")
        values["name"] = values.get("name") or ", ".join(filter(None, (last, first)))
        if values.get("id"):
            people.setdefault(values["id"], Person(**values))
    return people
