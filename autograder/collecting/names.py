"""Who handed something in, and when: read from the name of a file, folder or archive as a learning platform wrote it.

Where each form comes from:
- Canvas, `lovelaceada_LATE_101_5001_hw.ipynb`: `get_filename` and `add_upload_submission` of lib/content_zipper.rb in
  github.com/instructure/canvas-lms. It is the sortable name's word characters in lower case, LATE, the person's number
  in the course, the attachment's number, and the learner's own file name; `-1` where a name was there already
  (`make_unique_filename`); `anon_x7Gh2_...` where grading is anonymous. It writes no time; later attachments have
  higher numbers. A text entry is `..._text.html`, a link `..._link.html`.
- Moodle, `Ada Lovelace_4711_assignsubmission_file` as a folder or as the beginning of a file's name:
  mod/assign/classes/downloader.php in github.com/moodle/moodle (older ones end with `_`). The number tells people of
  one name apart; it is another one in each assignment (`get_uniqueid_for_user`). `Participant` where it is anonymous.
- Brightspace, `397063-2557369 - Ada Lovelace - Sep 24, 2024 926 PM`, a folder or the beginning of a file's name, as
  scripts that sort such downloads find it. Time in the platform's zone, its colon left out.
- Blackboard, `hw1_ada_attempt_2026-03-03-11-05-59_hw.ipynb` and one `..._2026-03-03-11-05-59.txt` for each attempt:
  github.com/kwurst/bb-file-cleanup and nbgrader's own user guide ("managing assignment files manually").
- Google Drive: a folder with the person's name, or `Ada Lovelace - hw.ipynb`, in `drive-download-...zip`.
- plain: `ada_..._ch01_quantization.ipynb`, or a folder or archive `ada_...`: the part before the first `_`.

What the learner chose stands behind what the platform wrote, so the form whose person ends first is the one that holds.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime, timezone, tzinfo
from typing import NamedTuple

NOTEBOOK = re.compile(r"(?P<stem>.*?)\.ipynb(?P<copy> ?\(\d+\))?(?:\.txt|\.json)?", re.IGNORECASE | re.DOTALL)
ARCHIVE = re.compile(
    r"(?P<stem>.+?)\.(?:zip|tar|tgz|tbz2?|txz|tar\.(?:gz|bz2|xz)|gz|rar|7z)", re.IGNORECASE | re.DOTALL
)
COPY_BEFORE = re.compile(r"(?:Copy of|Kopie von|Copie de|Copia de|Cópia de) +", re.IGNORECASE)
COPY_BEHIND = re.compile(r"(?: - | |-|_)copy ?(\d*)$| ?\((\d+)\)$|-(\d{1,2})$", re.IGNORECASE)

STAMP = r"\d{4}-\d\d-\d\d[-_T ]\d\d[-.:]?\d\d[-.:]?\d\d"
PLATFORMS = {
    "Moodle": re.compile(
        r"(?P<person>.+?)(?:_(?P<number>\d+))?_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?", re.DOTALL
    ),
    "Brightspace": re.compile(
        r"(?P<number>\d+)-\d+ - (?:[A-Z]?\d{4,} - )?(?P<person>.+?) ?- (?P<when>[^-]*\d{4}[^-]*?)(?: - (?P<file>.+))?",
        re.DOTALL,
    ),
    "Blackboard": re.compile(
        rf"(?P<person>.+?)_attempt_(?P<when>{STAMP})(?:_(?P<file>.+)|(?P<kind>\.txt))?", re.DOTALL
    ),
    "Canvas": re.compile(
        r"(?:(?P<late>LATE)_)?(?P<person>anon)_(?P<number>[0-9A-Za-z]{5,})_(?P<order>\d+)_(?P<file>.+)"
        r"|(?P<person_>\w+?)_(?:(?P<late_>LATE|late)_)?(?P<number_>\d+)_"
        r"(?:(?P<order_>\d+)_(?P<file_>.+)|(?P<kind>text|link)(?:-\d+)?\.html)",
        re.DOTALL,
    ),
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WRITTEN_OUT = re.compile(
    r"(?:(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d\d?)|(?P<day_>\d\d?) (?P<month_>[A-Za-z]{3,9})\.?),? (?P<year>\d{4}),?"
    r" (?P<hour>\d\d?)[.:]?(?P<minute>\d\d)\s*(?P<half>[AP]M)?",
    re.IGNORECASE,
)
#: Words that name a bundle, not a person.
_BUNDLE = (
    "all archive archives assignment assignments batch blackboard brightspace bulk canvas ch chapter chapters class"
    " classroom course courses download downloads drive exercise exercises export exported extracted files final"
    " gradebook google group groups homework homeworks hw lab labs late lms module moodle my new notebook notebooks old"
    " section solution solutions student students submission submissions submitted takeout task tmp unit upload uploads"
    " week weeks zip one two three four five six seven eight nine ten"
)
BUNDLE = frozenset(_BUNDLE.split())
BUNDLES = re.compile(
    r"gradebook_.*|drive-download-\d+T.*|submissions?\b.*|takeout-\d+.*|.+ Download \w+ \d+, \d{4} .*",
    re.IGNORECASE | re.DOTALL,
)
FORBIDDEN = set('/\\:*?"<>|[]{}')
LONG = 100  # bytes of an id


class Who(NamedTuple):
    """A person as a name tells. number: the platform's, or ""; time: UTC without a zone, as nbgrader keeps it;
    order: grows with every attachment, or 0; file: the learner's own file name, "" where the name is a folder's;
    kind: what it is where it is no file; form: the platform.
    """

    person: str
    number: str = ""
    time: datetime | None = None
    order: int = 0
    file: str = ""
    late: bool = False
    kind: str = ""
    form: str = "plain"


def who(
    name: str, chapter: str, zone: tzinfo | None = None, known: Callable[[str], bool] = lambda name: False
) -> Who | None:
    """Whoever a name names; None where it names nobody.

    zone: where the platform's clock stands, None for here. known: whether the roster has an id, name or address.
    """
    name = nfc(name)
    found = []
    for form, pattern in PLATFORMS.items():
        if match := pattern.fullmatch(name):
            parts = {key.rstrip("_"): value for key, value in match.groupdict("").items() if value}
            if not parts["person"].strip(" _-"):
                continue
            time = moment(parts.get("when", ""), zone)
            order, late = int(parts.get("order", "0")[:18]), "late" in parts
            kind = parts.get("kind", "") if parts.get("kind") != "file" else ""
            person, number, file = parts["person"].strip(), parts.get("number", ""), parts.get("file", "")
            if form == "Blackboard":
                person, number = _user(person, chapter)
            end = match.end("person") if match["person"] else match.end("person_")
            found.append((end, Who(person, number, time, order, file, late, kind, form)))
    return min(found, key=lambda one: one[0])[1] if found else _plain(name, chapter, zone, known)


def is_bundle(name: str, chapter: str) -> bool:
    """Whether a folder or archive is named for what is in it (`submissions.zip`, `Chapter 1`), not for a person."""
    stem = bare(nfc(name))
    own = BUNDLE | set(re.findall(r"[^\W\d_]+", chapter.casefold()))
    words = re.findall(r"[^\W\d_]+", stem.casefold())
    named = any(word in own for word in words) and all(word in own or len(word) == 1 for word in words)
    return named or bool(BUNDLES.fullmatch(stem))


def is_full_name(name: str) -> bool:
    """Whether a folder's name can only be a person's: `Ada Lovelace`, `Lovelace, Ada`, an e-mail address."""
    stem = bare(nfc(name))
    if re.fullmatch(r"[^\s@/]+@[^\s@/]+\.\w+", stem):
        return True
    words = stem.replace(",", " ").split()
    return 2 <= len(words) <= 6 and all(
        re.fullmatch(r"[^\W\d_][^\d_]*", word) and word.casefold() not in BUNDLE for word in words
    )


def is_dropping(name: str) -> bool:
    """What Mac, Windows and editors leave in folders, and what is hidden, unless it can be somebody's upload."""
    lower = name.casefold()
    hidden = name.startswith(".") and not any(form.fullmatch(name) for form in (NOTEBOOK, ARCHIVE))
    junk = name.startswith(("._", ".~", "~$", "__MACOSX", "__pycache__"))
    return hidden or junk or lower in (".ipynb", "thumbs.db", "desktop.ini", "icon\r")


def is_notebook(name: str) -> bool:
    return bool(NOTEBOOK.fullmatch(name)) and not is_dropping(name)


def is_archive(name: str) -> bool:
    return bool(ARCHIVE.fullmatch(name)) and not is_notebook(name) and not is_dropping(name)


def bare(name: str) -> str:
    """A folder's or archive's name without its ending and without what a browser adds to a second one."""
    match = ARCHIVE.fullmatch(name)
    return re.sub(r" ?\(\d+\)$", "", match["stem"] if match else name)


def own_name(name: str, chapter: str) -> tuple[str, tuple[int, ...]]:
    """(a notebook's name without what copying added to it, the numbers of the copy: the newer, the higher).

    >>> own_name("Copy of CH01_Quantization (2).ipynb.txt", "ch01_quantization")
    ('ch01_quantization.ipynb', (0, 2))
    """
    match = NOTEBOOK.fullmatch(nfc(name))
    stem, copies = _uncopied(match["stem"].strip() + (match["copy"] or ""))
    return f"{chapter if _ends_with(stem, chapter) == '' else stem}.ipynb", copies


def moment(text: str, zone: tzinfo | None) -> datetime | None:
    """The time that a platform wrote, in UTC without a zone; None where it is no time."""
    try:
        if match := WRITTEN_OUT.search(text):
            month = MONTHS.index((match["month"] or match["month_"])[:3].casefold()) + 1
            hour = int(match["hour"])
            if match["half"]:
                hour = hour % 12 + 12 * (match["half"].casefold() == "pm")
            numbers = int(match["year"]), month, int(match["day"] or match["day_"]), hour, int(match["minute"])
        elif match := re.search(rf"(?<!\d){STAMP}(?P<utc>Z)?(?!\d)", text):
            numbers = re.findall(r"^\d{4}|\d\d", match[0])
            zone = timezone.utc if match["utc"] else zone
        else:
            return None
        when = datetime(*map(int, numbers))
        if not 1990 < when.year < 2200:
            return None
        return (when.replace(tzinfo=zone) if zone else when).astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None


def as_id(name: str) -> str:
    """A name as nbgrader and every file system take it for an id; "" where nothing is left of it.

    >>> as_id("../Ada [1]")
    'Ada -1-'
    """
    name = "".join(sign for sign in " ".join(nfc(name).split()) if unicodedata.category(sign) != "Cf")
    name = "".join(sign if sign.isprintable() and sign not in FORBIDDEN else "-" for sign in name)
    name = name.lstrip(". -").rstrip(". ")
    if len(name.encode()) > LONG:
        short = name.encode()[: LONG - 9].decode(errors="ignore").rstrip(". ")
        name = f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name if name.strip("-_ ") else ""


def nfc(name: str) -> str:
    """One form for each letter, as composed as it can be; bytes that are no text become a sign for that."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _plain(name: str, chapter: str, zone: tzinfo | None, known: Callable[[str], bool]) -> Who | None:
    if match := NOTEBOOK.fullmatch(name):
        stem, _ = _uncopied(match["stem"].strip())
        before, file = _ends_with(stem, chapter), name
        if before is None and " - " in stem:  # the chapter first, then the person
            first, _, before = stem.partition(" - ")
            before = before if _ends_with(_uncopied(first)[0], chapter) == "" else None
        elif before and not re.search(r"_| - ", stem[: len(before) + 3]):
            return None
    else:
        before, file = bare(name), ""
        if known(before):
            return Who(before)
        if _ends_with(before, chapter) == "" or is_bundle(before, chapter):
            return None
        if " - " in before and is_full_name(before.partition(" - ")[0]):
            before = before.partition(" - ")[0]
        elif "_" not in before:
            return None
    if not before:
        return None
    words = before.partition(" - ")[0].split("_")
    longer = ("_".join(words[:count]).strip() for count in range(len(words), 0, -1))
    person = next(filter(known, longer), words[0].strip())
    return Who(person, time=moment(before, zone), file=file) if person else None


def _uncopied(stem: str) -> tuple[str, tuple[int, ...]]:
    copies: list[int] = []
    while match := COPY_BEHIND.search(stem):
        copies.insert(0, int(next(filter(None, match.groups()), "0")[:9]))
        stem = stem[: match.start()].rstrip()
    while match := COPY_BEFORE.match(stem):
        copies.insert(0, 0)
        stem = stem[match.end() :]
    return stem, tuple(copies)


def _ends_with(stem: str, chapter: str) -> str | None:
    """What stands before the chapter's name at the end of a file's, whatever its case and signs between words."""
    pattern = r"[\W_]+".join(re.escape(word) for word in re.split(r"_+", chapter))
    match = re.fullmatch(rf"(?P<before>(?:.*[\W_])?){pattern}", stem, re.IGNORECASE | re.DOTALL)
    return match and re.sub(r"[\W_]+$", "", COPY_BEFORE.sub("", match["before"]))


def _user(before: str, chapter: str) -> tuple[str, str]:
    """(user, what else the name is told by) of `assignment_user`: a user has no spaces, and maybe underscores."""
    short = re.escape(chapter.partition("_")[0])
    rest = re.sub(rf"^(?:{re.escape(chapter)}|{short})_", "", before, flags=re.IGNORECASE)
    if " " in rest:
        rest = rest[rest.rindex(" ") :].partition("_")[2] or rest.rpartition(" ")[2]
    elif rest == before and "_" in before:
        rest, assignment = before.rpartition("_")[2], before.rpartition("_")[0]
        return rest, assignment
    return rest, ""
