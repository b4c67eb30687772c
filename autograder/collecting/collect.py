"""One `nbgrader zip_collect CHAPTER`: what was uploaded becomes submissions, and everybody is accounted for.

nbgrader's own steps (0.9.6) unpack everything under the names that archives give, end at the first odd upload, and
empty a person's folder before they write. So `UploadExtractor`, which nbgrader makes before it does anything, puts
`Collection` in their place; `UploadCollector` says whom a name names.
"""

import contextlib
import fcntl
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin
from nbgrader.utils import parse_utc
from traitlets import Unicode

from autograder import NEEDS_A_LOOK, CourseError
from autograder.collecting import names, people, placing, roster
from autograder.collecting.account import Account
from autograder.collecting.archives import Refused, Shelf
from autograder.collecting.finding import Finder, Found, Upload, last
from autograder.collecting.names import Who

OPENED = ".opened-"  # folders of what is unpacked, gone when the command ends


class UploadCollector(FileNameCollectorPlugin):
    """Whom an upload's name names, and from when it is. named_regexp, where it is set, comes before all known forms."""

    timezone = Unicode(
        "",
        help="The zone of the times in uploads' names, such as Europe/Berlin; this machine's where it is empty.",
    ).tag(config=True)

    @cached_property
    def zone(self) -> ZoneInfo | None:
        """Raises CourseError."""
        try:
            return ZoneInfo(self.timezone) if self.timezone else None
        except (ZoneInfoNotFoundError, ValueError, OSError) as why:
            raise CourseError(f"UploadCollector.timezone: no zone {self.timezone!r}; try Europe/Berlin") from why

    def who(self, name: str, chapter: str, known: Callable[[str], bool] = lambda name: False) -> Who | None:
        match = re.match(self.named_regexp, name) if self.named_regexp else None
        if said := match and match.groupdict(""):
            time = None
            with contextlib.suppress(ValueError, OverflowError):
                time = parse_utc(said["timestamp"]) if said.get("timestamp") else None
            file = name if names.is_notebook(name) else ""
            return Who(said["student_id"], time=time, file=file) if said.get("student_id") else None
        return names.who(name, chapter, self.zone, known)


class UploadExtractor(ExtractorPlugin):
    """ZipCollectApp's extractor_plugin: its command collects with `Collection`."""

    def __init__(self, **options):
        super().__init__(**options)
        if self.parent is not None:
            self.parent.extract_archive_files = partial(_collect, self.parent)
            self.parent.process_extracted_files = lambda: None


def _collect(app) -> None:
    """What nbgrader's command does; ends it with 3 where somebody needs a look, and 1 where it could not work."""
    archive, course = Path(app._format_collect_path(app.archive_directory)), app.coursedir
    try:
        collection = Collection(
            course.assignment_id,
            archive,
            lambda student: Path(course.format_path(course.submitted_directory, student, course.assignment_id)),
            app.collector_plugin_inst.who,
            roster.of(course.root),
            app.force,
        )
        account = collection.collect()
    except (CourseError, Refused, OSError) as why:
        app.fail(f"{course.assignment_id}: {why}")
    if account.not_collected:
        app.fail(f"{course.assignment_id}: not collected: {', '.join(sorted(account.not_collected))}")
    if account.needs_a_look:
        sys.exit(NEEDS_A_LOOK)


class Collection:
    """place: from a student's id to the folder in submitted/. who: from a name to a person, see UploadCollector."""

    def __init__(
        self,
        chapter: str,
        archive: Path,
        place: Callable[[str], Path],
        who: Callable[..., Who | None] = names.who,
        listed: roster.Roster | None = None,
        force: bool = False,
    ):
        self.chapter, self.archive, self.place, self.force = chapter, archive, place, force
        self.roster = listed or roster.Roster()
        self.who = lambda name: who(name, chapter, known=self.roster.knows)
        self.replaced = archive.parent / "replaced"
        self.account = Account(chapter, f"{archive.parent.parent.name}/{archive.parent.name}/replaced/")

    def collect(self) -> Account:
        """Raises CourseError, Refused or OSError where nothing at all can be done."""
        if not self.archive.is_dir():
            raise CourseError(f"there is no folder {self.archive}: put what was uploaded there")
        with self._alone(), self._shelf() as shelf:
            found = Finder(self.chapter, self.who, shelf).find(self.archive)
            uploads = self._by_student(found)
            for student in uploads:
                self.account.is_("not collected", student, "the command ended before")
            try:
                for student in sorted(uploads):
                    self._one(student, uploads[student])
                self._others(uploads)
            finally:
                self._close(found)
        return self.account

    def _by_student(self, found: Found) -> dict[str, list[Upload]]:
        """{id: uploads}."""
        everybody = {people.key(upload.who): upload.who for upload in found.uploads}
        ids = people.ids(everybody.values(), self.roster, lambda student: placing.holder(self.place(student)))
        uploads = defaultdict(list)
        for upload in found.uploads:
            if student := ids[people.key(upload.who)]:
                uploads[student].append(upload)
            else:
                self.account.is_("skipped", upload.label, f"{upload.who.person!r} cannot be anybody's id")
        for (person, number), student in ids.items():
            who = everybody[person, number]
            if student and number and student == names.as_id(f"{person}_{number}") and person not in people.NAMELESS:
                self.account.remark("namesakes", student)
            if self.roster.people and student and student not in self.roster.people:
                several = sorted(self.roster.find(who))
                self.account.remark("not on roster", student, f"it can be {' or '.join(several)}" if several else "")
        return uploads

    def _one(self, student: str, uploads: list[Upload]) -> None:
        """The newest of one person's uploads takes its place."""
        good = [upload for upload in uploads if not upload.why]
        newest = self._newest(student, good) if good else None
        for upload in uploads:
            if upload is newest:
                continue
            if not upload.why:
                self.account.is_("older", upload.label, f"{last(newest.label)} is newer")
            elif not (upload.empty and newest and (upload.time is None or upload.time <= (newest.time or upload.time))):
                self.account.is_("skipped", upload.label, f"{student}: {upload.why}")
            elif upload.who.kind:
                continue  # a platform's own note beside what was handed in
            else:
                self.account.is_("older", upload.label, f"{upload.why}; {last(newest.label)} was taken")
        self.account.rows["not collected"].pop(student)
        if newest:
            self._take(student, newest)

    def _newest(self, student: str, uploads: list[Upload]) -> Upload:
        """By time, then by the platform's numbers; what only its name decides is noted."""

        def rank(upload: Upload) -> tuple:
            return upload.time is not None, upload.time and upload.time.isoformat(), upload.order

        *older, newest = sorted(uploads, key=lambda upload: (rank(upload), upload.label))
        for upload in older:
            doubtful = (upload.time is None and newest.time is not None) or rank(upload) == rank(newest)
            if doubtful and _digest(upload) != _digest(newest):
                newest.notes.append(f"{newest.label} was taken; nothing says that {upload.label} is older")
        return newest

    def _take(self, student: str, upload: Upload) -> None:
        place, since = self.place(student), f", handed in {upload.time:%Y-%m-%d %H:%M} UTC" if upload.time else ""
        try:
            there, digest = placing.stands(place, self.replaced / student), _digest(upload)
            verdict = placing.verdict(upload, digest, there)
            if verdict == "newer" or (verdict == "doubtful" and self.force):
                placing.put(place, upload, digest, self.replaced / student)
                self.account.is_("replaced" if there else "collected", student, f"{upload.label}{since}")
            elif verdict == "same":
                placing.remember(place, upload, digest)
                self.account.is_("unchanged", student)
            else:
                state = "newer there" if verdict == "older" else "in doubt"
                self.account.is_(state, student, f"{upload.label}{since}")
        except Refused as why:
            self.account.is_("skipped", upload.label, f"{student}: {why}")
        except Exception as why:  # whatever it is, it is this person's, and the others are collected
            self.account.is_("not collected", student, str(why) or type(why).__name__)
        for note in upload.notes:
            self.account.remark("noticed", student, note)
        if upload.who.late and not upload.time:
            self.account.remark("late", student)

    def _others(self, uploads: dict[str, list[Upload]]) -> None:
        """Who is in submitted/ or on the roster, and uploaded nothing here."""
        root = self.place("x").parent.parent
        for folder in sorted(root.iterdir() if root.is_dir() else ()):
            if folder.name not in uploads and not folder.name.startswith(".") and self.place(folder.name).is_dir():
                self.account.is_("no upload", folder.name)
        for student, person in self.roster.people.items():
            if student not in uploads and student not in self.account.rows["no upload"]:
                self.account.is_("missing", student, person.name if person.name != student else "")

    def _close(self, found: Found) -> None:
        for label, why in found.older.items():
            self.account.is_("older", label, why)
        for label, why in found.skipped.items():
            self.account.is_("skipped", label, why)
        for label in found.aside:
            self.account.is_("left aside", label)
        self.account.close(self.archive.parent / "account.txt")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.archive.parent / ".collecting").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CourseError("another nbgrader zip_collect is at work on it; wait until it has ended") from None
            yield

    @contextlib.contextmanager
    def _shelf(self) -> Iterator[Shelf]:
        for left in self.archive.parent.glob(f"{OPENED}*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=OPENED, dir=self.archive.parent) as folder:
            yield Shelf(Path(folder))


def _digest(upload: Upload) -> str:
    return placing.digest_of({**upload.files, **upload.notebooks})
