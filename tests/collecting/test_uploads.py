"""Whatever is uploaded: the right person, notebook and time, everybody accounted for, nobody else touched."""

import fcntl
import os
import random
import re
import shutil
from zoneinfo import ZoneInfo

import pytest
from nbgrader.utils import parse_utc
from upload_bank import BAD, CHAPTER, DAY, GOOD, KINDS, OWN, lay, notebook, zipped

from autograder import CourseError
from autograder.collecting import names, placing, roster
from autograder.collecting.account import LOOK, PEOPLE, REMARKS, UPLOADS
from autograder.collecting.collect import Collection, UploadCollector


class Course:
    """A course's folder in which uploads are collected."""

    def __init__(self, root):
        self.root, self.archive = root, root / "downloaded" / CHAPTER / "archive"
        self.archive.mkdir(parents=True)

    def place(self, student):
        return self.root / "submitted" / student / CHAPTER

    def collect(self, **more):
        listed = roster.read(self.root / "roster.csv")
        self.account = Collection(CHAPTER, self.archive, self.place, listed=listed, **more).collect()
        return self.account

    def work(self):
        """{student: (which notebook, time or None)}."""
        found = {}
        for path in sorted(self.root.glob(f"submitted/*/{CHAPTER}")):
            which = re.search(r'"source": "([^"]*)"', (path / OWN).read_text("utf-8"))[1]
            stamp = path / "timestamp.txt"
            found[path.parent.name] = which, str(parse_utc(stamp.read_text().strip())) if stamp.exists() else None
        return found

    def upload(self, contents):
        """Instead of what was uploaded before."""
        for path in sorted(self.archive.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        lay(contents)(self.archive)

    def everything(self):
        return {
            path.relative_to(self.root): (path.read_bytes(), path.stat().st_ino)
            for path in self.root.rglob("*")
            if path.is_file() and not path.is_symlink()
        }


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    return Course(tmp_path / "course")


def expected(work):
    return {student: one if isinstance(one, tuple) else (one, None) for student, one in work.items()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_upload_becomes_what_it_must(course, kind, capsys):
    kind.put(course.archive)
    (course.root / "roster.csv").write_text(kind.roster) if kind.roster else None
    outside = sorted(course.root.parent.rglob("*"))
    account = course.collect()
    assert course.work() == expected(kind.work)
    assert account.rows["collected"].keys() == kind.work.keys()
    for row in (*UPLOADS, *REMARKS, "missing"):
        found, wanted = sorted(account.rows[row]), sorted((kind.rows or {}).get(row, ()))
        matched = [any(one.startswith(start) for start in wanted) for one in found]
        assert all(matched) and all(any(one.startswith(w) for one in found) for w in wanted), (row, account.rows[row])
    assert account.needs_a_look == any((kind.rows or {}).get(row) for row in LOOK)
    made = {path.relative_to(course.root).parts[0] for path in set(course.root.parent.rglob("*")) - set(outside)}
    assert made <= {"submitted", "downloaded"}
    assert {path.name for path in course.archive.parent.iterdir()} <= {"archive", "account.txt", ".collecting"}
    assert capsys.readouterr().out.strip() == (course.archive.parent / "account.txt").read_text("utf-8").strip()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_running_twice_changes_nothing(course, kind):
    kind.put(course.archive)
    course.collect()
    before = course.everything()
    account = course.collect()
    after = course.everything()
    del before[next(path for path in before if path.name == "account.txt")]
    assert {path: after[path] for path in before} == before
    assert account.rows["unchanged"].keys() == course.work().keys()


def test_the_bank_has_at_least_thirty_kinds():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 30
    assert len(GOOD) > 10 and len(BAD) > 10


@pytest.mark.parametrize("kind", [kind for kind in BAD if "bob" in kind.work], ids=lambda kind: kind.name)
def test_what_was_collected_stands_when_a_bad_upload_comes(course, kind):
    course.upload({f"{who}_{OWN}": "before" for who in ("ada", "bob", "cy", "lovelaceada")})
    course.collect()
    before = course.work()
    course.upload({})
    kind.put(course.archive)
    course.collect()
    assert course.work() == before | expected(kind.work)


# A class of 40 through each platform's form.

FIRST = ("Ada", "Bob", "Cyd", "Dia", "Eve", "Fay", "Gus", "Hal", "Ida", "Zoë")
CLASS = [f"{first} {last}" for first in FIRST for last in ("Abel", "Noether", "Li-Wu", "O'Neil")]


def stamp(index, form):
    """A time as a platform writes it, and as nbgrader keeps it."""
    day, hour, minute = index % 28 + 1, index % 24, 5 + index
    kept = f"2026-03-{day:02} {hour:02}:{minute:02}"
    if form == "Brightspace":
        return f"Mar {day}, 2026 {hour % 12 or 12}{minute:02} {'AM' if hour < 12 else 'PM'}", f"{kept}:00"
    return f"2026-03-{day:02}-{hour:02}-{minute:02}-07", f"{kept}:07"


def handed_in(form, index, name, what):
    """(the path of somebody's upload in the platform's download, the id that comes of it, the time)."""
    sortable = "".join(re.findall(r"\w", " ".join(reversed(name.split())))).lower()
    written, time = stamp(index, form)
    return {
        "Canvas": (f"{sortable}_{100 + index}_{9000 - index}_{CHAPTER}-{index % 3 + 1}.ipynb", sortable, None),
        "Moodle": (f"{name}_{4000 + index}_assignsubmission_file_/{OWN}", name, None),
        "Brightspace": (f"{500 + index}-77 - {name} - {written}/{OWN}", name, time),
        "Blackboard": (f"{CHAPTER}_{sortable}_attempt_{written}_{what}.ipynb", sortable, time),
        "Drive": (f"{CHAPTER}/{name}/Copy of {OWN}", name, None),
        "plain": (f"{sortable}_{written}_{OWN}", sortable, time),
    }[form]


@pytest.mark.parametrize("form", ["Canvas", "Moodle", "Brightspace", "Blackboard", "Drive", "plain"])
@pytest.mark.parametrize("listed", [False, True], ids=["without a roster", "with a roster"])
def test_a_class_of_forty_through_each_platforms_form(course, form, listed):
    bundle = {"Drive": "drive-download-20260303T110559Z-001.zip", "plain": "all.zip"}.get(form, "submissions.zip")
    entries, wanted = [], {}
    for index, name in enumerate(CLASS):
        path, student, time = handed_in(form, index, name, f"work {index}")
        entries.append((path, f"work {index}"))
        wanted[f"s{index}" if listed else student] = (f"work {index}", time)
    if listed:
        rows = [f"s{index},{name},{100 + index}" for index, name in enumerate(CLASS)]
        (course.root / "roster.csv").write_text("\n".join(["id,name,platform_id", *rows, "late,Una Late,7"]), "utf-8")
    random.Random(0).shuffle(entries)
    lay({bundle: zipped(*entries)})(course.archive)
    account = course.collect()
    assert len(wanted) == 40
    assert course.work() == wanted
    assert account.rows["collected"].keys() == wanted.keys()
    assert account.rows["missing"].keys() == ({"late"} if listed else set())
    assert not account.needs_a_look


def test_the_order_of_uploads_changes_nothing(tmp_path):
    attempts = {f"ch01_ada_attempt_2026-03-0{day}-10-00-00_{OWN}": f"ada {day}" for day in (3, 1, 9, 4)} | {
        f"eve_7_{number}_{CHAPTER}.ipynb": f"eve {number}" for number in (90, 100, 9)
    }
    works, rows = [], []
    for seed in range(4):
        entries = list(attempts.items())
        random.Random(seed).shuffle(entries)
        course = Course(tmp_path / str(seed))
        lay({f"{'dbac'[number + seed & 3]}.zip": zipped(*entries[number::2]) for number in range(2)})(course.archive)
        course.collect()
        works.append(course.work())
        rows.append(sorted(label.rpartition("/")[2] for label in course.account.rows["older"]))
    assert works == [{"ada": ("ada 9", "2026-03-09 10:00:00"), "eve": ("eve 100", None)}] * 4
    assert rows == [sorted(attempts.keys() - {f"ch01_ada_attempt_2026-03-09-10-00-00_{OWN}", f"eve_7_100_{OWN}"})] * 4


# What lies in submitted/ already.


def test_a_newer_upload_replaces_and_what_it_replaced_is_kept(course):
    for what, day in (("first", 1), ("second", 2)):
        course.upload({f"ada_2026-03-0{day}-10-00-00_{OWN}": what})
        account = course.collect()
    assert course.work() == {"ada": ("second", "2026-03-02 10:00:00")}
    assert account.rows["replaced"].keys() == {"ada"} and not account.needs_a_look
    kept = course.archive.parent / "replaced" / "ada" / "1"
    assert (kept / OWN).read_bytes() == notebook("first")
    assert (kept / "timestamp.txt").read_text() == "2026-03-01 10:00:00 UTC\n"


@pytest.mark.parametrize("force", [False, True])
def test_an_older_upload_never_replaces_a_newer_one(course, force):
    for form in ("ada_2026-03-0{}-10-00-00_" + OWN, "bob_102_500{}_" + OWN):
        for number in (2, 1):
            course.upload({form.format(number): f"{number}"})
            account = course.collect(force=force)
    assert course.work() == {"ada": ("2", "2026-03-02 10:00:00"), "bob": ("2", None)}
    assert account.rows["newer there"].keys() == {"bob"} and account.rows["no upload"].keys() == {"ada"}


def test_downloaded_may_be_emptied_between_two_collections(course):
    for number in (1, 2):
        course.upload({f"ada_7_500{number}_{OWN}": f"{number}", f"bob_{OWN}": f"{number}"})
        course.collect()
        for path in course.archive.parent.glob("*.*"):
            path.unlink()
    assert course.work() == {"ada": ("2", None), "bob": ("2", None)}


def test_what_a_person_changed_by_hand_stays_unless_forced(course):
    course.upload({f"ada_{OWN}": "first", f"bob_{OWN}": "first"})
    course.collect()
    (course.place("ada") / OWN).write_bytes(notebook("mended"))
    course.place("cy").mkdir(parents=True)
    (course.place("cy") / OWN).write_bytes(notebook("by hand"))
    course.upload({f"{who}_{OWN}": "second" for who in ("ada", "bob", "cy")})
    account = course.collect()
    assert course.work() == {"ada": ("mended", None), "bob": ("second", None), "cy": ("by hand", None)}
    assert account.rows["in doubt"].keys() == {"ada", "cy"} and account.needs_a_look
    course.collect(force=True)
    assert {one for one, _ in course.work().values()} == {"second"}
    assert (course.archive.parent / "replaced" / "ada" / "1" / OWN).read_bytes() == notebook("mended")


def test_a_namesake_who_comes_later_gets_an_id_of_their_own(course):
    for number in (2, 1, 3, 2):
        course.upload({f"Li Wei_{number}_assignsubmission_file_/{OWN}": f"{number}"})
        course.collect()
    assert course.work() == {"Li Wei": ("2", None), "Li Wei_1": ("1", None), "Li Wei_3": ("3", None)}


def test_links_in_submitted_are_left_alone(course, tmp_path):
    (tmp_path / "elsewhere" / CHAPTER).mkdir(parents=True)
    (course.root / "submitted" / "bob").mkdir(parents=True)
    (course.root / "submitted" / "ada").symlink_to(tmp_path / "elsewhere")
    course.place("bob").symlink_to(tmp_path / "elsewhere")
    course.upload({f"{who}_{OWN}": who for who in ("ada", "bob", "cy")})
    account = course.collect()
    assert account.rows["skipped"].keys() == {f"ada_{OWN}", f"bob_{OWN}"}
    assert account.rows["collected"].keys() == {"cy"}
    assert list((tmp_path / "elsewhere").iterdir()) == [tmp_path / "elsewhere" / CHAPTER]


@pytest.mark.parametrize("step", ["rename", "copyfile", "replace"])
@pytest.mark.parametrize("time", range(1, 6))
@pytest.mark.parametrize("exchange", [2, 1 << 30], ids=["at once", "where folders cannot be exchanged"])
def test_cut_off_anywhere_the_next_run_makes_it_right(course, monkeypatch, step, time, exchange):
    monkeypatch.setattr(placing, "EXCHANGE", exchange)
    course.upload({f"ada_2026-03-01-10-00-00_{OWN}": "first"})
    course.collect()
    course.upload({f"{who}_2026-03-02-10-00-00_{OWN}": "second" for who in ("ada", "bob")})
    module, calls = (shutil if step == "copyfile" else os), []
    real = getattr(module, step)

    def cut_off(*arguments):
        calls.append(arguments)
        if len(calls) == time:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, step, cut_off)
    try:
        course.collect()
    except KeyboardInterrupt:
        assert course.account.rows["collected"].keys() == {"ada"}  # the first collection's: this one gave none
    monkeypatch.setattr(module, step, real)
    for work in (course.work(), course.collect() and course.work()):
        assert work["ada"] in (("first", "2026-03-01 10:00:00"), ("second", "2026-03-02 10:00:00"))
    assert course.work() == dict.fromkeys(("ada", "bob"), ("second", "2026-03-02 10:00:00"))
    kept = [path.read_bytes() for path in course.root.glob(f"downloaded/*/replaced/*/*/{OWN}")]
    assert notebook("first") in kept


def test_where_the_machine_cannot_write_that_person_is_named_and_the_others_are_collected(course, monkeypatch):
    real = shutil.copyfile

    def full(source, target):
        if "/bob/" in str(target):
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    course.upload({f"{who}_{OWN}": who for who in ("ada", "bob", "cy")})
    account = course.collect()
    assert account.not_collected == {"bob": "[Errno 28] No space left on device"}
    assert course.work() == {"ada": ("ada", None), "cy": ("cy", None)}
    assert not course.place("bob").parent.exists()


def test_two_collections_at_a_time_do_not_meet(course):
    course.upload({f"ada_{OWN}": "ada"})
    with (course.archive.parent / ".collecting").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CourseError, match="another nbgrader zip_collect"):
            course.collect()
    assert course.work() == {}


# What is said.


def test_the_account_has_every_line(course, monkeypatch):
    course.upload(
        {
            f"same_{OWN}": "same",
            f"rep_2026-03-01-10-00-00_{OWN}": "old",
            f"new_2026-03-05-10-00-00_{OWN}": "newest",
            f"hand_{OWN}": "x",
            f"gone_{OWN}": "gone",
        }
    )
    course.collect()
    (course.place("hand") / OWN).write_bytes(notebook("mended"))
    real = shutil.copyfile

    def full(source, target):
        if "/full/" in str(target):
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    (course.root / "roster.csv").write_text("id,name\nsame,\nabsent,Abe Sent\n")
    course.upload(
        {
            f"same_{OWN}": "same",
            f"rep_2026-03-02-10-00-00_{OWN}": "newer",
            f"new_2026-03-01-10-00-00_{OWN}": "older",
            f"hand_{OWN}": "y",
            f"full_{OWN}": "full",
            f"fresh_{OWN}": "1",
            f"fresh_{CHAPTER} (1).ipynb": "2",
            "bad_hw.zip": b"",
            "list.pdf": b"",
            "dup_a.zip": zipped((OWN, "1")),
            "dup_b.zip": zipped((OWN, "2")),
            f"Li Wei_1_assignsubmission_file_/{OWN}": "1",
            f"Li Wei_2_assignsubmission_file_/{OWN}": "2",
            f"tardy_LATE_7_8_{OWN}": "t",
        }
    )
    account = course.collect()
    assert [row for row in (*PEOPLE, *UPLOADS, *REMARKS) if not account.rows[row]] == []
    text = account.text()
    assert all(re.search(rf"^  {row} +\d", text, re.MULTILINE) for row in account.rows)
    assert "absent: Abe Sent" in text
    assert f"rep: rep_2026-03-02-10-00-00_{OWN}, handed in 2026-03-02 10:00 UTC" in text
    assert "bad_hw.zip: bad: the archive is empty" in text
    people = [name for row in PEOPLE for name in account.rows[row]]
    assert len(people) == len(set(people))
    uploads = [name for row in UPLOADS for name in account.rows[row]]
    assert len(uploads) == len(set(uploads))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,email\nAda,x\n", "needs a first line with a column named id"),
        ("", "needs a first line with a column named id"),
        ("id\nada\n\nada\n", "line 4: the id ada stands in it twice"),
        ("id\n../x\n", "line 2: '../x' cannot be an id"),
    ],
)
def test_a_roster_that_cannot_be_used_is_named_with_its_line(tmp_path, text, says):
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(CourseError, match=re.escape(says)):
        roster.read(tmp_path / "roster.csv")


def test_times_are_those_of_the_platforms_zone(course):
    course.upload({f"1-2 - Ada - {DAY}/{OWN}": "ada", f"1-3 - Bob - Jul 3, 2026 1230 AM/{OWN}": "bob"})
    zone = ZoneInfo("Europe/Berlin")
    course.collect(who=lambda name, chapter, known: names.who(name, chapter, zone, known))
    assert course.work() == {"Ada": ("ada", "2026-03-03 10:05:00"), "Bob": ("bob", "2026-07-02 22:30:00")}


def test_a_zone_that_there_is_none_is_named(course):
    course.upload({f"ada_{OWN}": "ada"})
    with pytest.raises(CourseError, match="no zone 'Berlin'"):
        course.collect(who=UploadCollector(timezone="Berlin").who)


def test_an_instructors_own_form_comes_first(course):
    collector = UploadCollector(named_regexp=r"(?P<timestamp>\d{8})-(?P<student_id>\w+)\.ipynb")
    course.upload({"20260303-ada.ipynb": "ada", f"bob_{OWN}": "bob", "20261399-cy.ipynb": "cy"})
    course.collect(who=collector.who)
    assert course.work() == {"ada": ("ada", "2026-03-03 00:00:00"), "bob": ("bob", None), "cy": ("cy", None)}


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "\\", "[x]", "a\0b", "x" * 300, "-rf", ".git", "\u202ex", "NUL.", "é" * 99]
)
def test_an_id_is_a_name_for_one_folder(name):
    made = names.as_id(name)
    assert names.as_id(made) == made
    assert not set(made) & set('/\\:*?"<>|[]{}') and made.isprintable()
    assert not made.startswith((".", "-")) and not made.endswith((".", " ")) and len(made.encode()) <= 100


# The command itself.


def test_the_command_says_by_its_exit_code_whether_somebody_needs_a_look(course_copy, nbgrader):
    said = nbgrader("zip_collect", CHAPTER, code=1)
    assert "there is no folder" in said
    archive = course_copy / "downloaded" / CHAPTER / "archive"
    archive.mkdir(parents=True)
    lay({f"ada_2026-03-03-10-00-00_{OWN}": "ada"})(archive)
    config = course_copy / "nbgrader_config.py"
    config.write_text(config.read_text("utf-8") + '\nc.UploadCollector.timezone = "Asia/Tokyo"\n', "utf-8")
    assert "1 submission collected" in nbgrader("zip_collect", CHAPTER)
    folder = course_copy / "submitted" / "ada" / CHAPTER
    assert (folder / "timestamp.txt").read_text() == "2026-03-03 01:00:00 UTC\n"
    lay({"bob_hw.zip": b"PK"})(archive)
    said = nbgrader("zip_collect", CHAPTER, code=3)
    assert "bob_hw.zip: bob: the archive is damaged" in said and "unchanged         1" in said
