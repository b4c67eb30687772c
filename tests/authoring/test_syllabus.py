"""The course has its 58 core exercises, by number and type as the syllabus lists them, and counts them so."""

from conftest import CHAPTERS

from course import check

#: Of each chapter, the types of its core exercises in order: N.1, N.2, ...
CORE = {
    "ch00_arithmetic": "Derive Derive Trace Derive Trace Build Debug",
    "ch01_quantization": "Derive Derive Trace Derive Build Debug",
    "ch02_ptq": "Derive Trace Derive Trace Build Design",
    "ch03_qat": "Derive Trace Derive Build Debug",
    "ch04_pruning": "Derive Trace Derive Trace Build Design",
    "ch05_lottery_ticket": "Derive Trace Derive Trace Build",
    "ch06_distillation": "Derive Trace Derive Trace Build Debug",
    "ch07_low_rank": "Derive Derive Trace Derive Build Design",
    "ch08_mixed_precision": "Derive Derive Trace Derive Debug",
    "ch09_capstone": "Derive Trace Derive Build Debug Design",
}
#: The labs' numbers go on from there; the type of those that are not Build.
LABS = {
    "ch00_arithmetic": range(8, 12),
    "ch01_quantization": range(7, 12),
    "ch02_ptq": range(7, 14),
    "ch03_qat": range(6, 9),
    "ch04_pruning": range(7, 11),
    "ch05_lottery_ticket": range(6, 9),
    "ch06_distillation": range(7, 10),
    "ch07_low_rank": range(7, 12),
    "ch08_mixed_precision": range(6, 12),
    "ch09_capstone": range(7, 12),
}
NOT_BUILD = {"L0.11": "Trace", "L7.11": "Derive", "L9.9": "Challenge"}


def numbered(chapter):
    return CHAPTERS.index(chapter), CORE[chapter].split()


def test_there_are_ten_chapters():
    assert list(CORE) == list(LABS) == CHAPTERS


def test_the_58_core_exercises_are_there_with_their_numbers_and_types(exercises_of):
    promised = {f"{n}.{i}": kind for n, kinds in map(numbered, CORE) for i, kind in enumerate(kinds, start=1)}
    found = {
        number: exercise.kind
        for chapter in CHAPTERS
        for number, exercise in exercises_of(chapter).items()
        if not number.startswith("L")
    }
    assert len(promised) == 58
    assert found == promised
    assert list(found) == list(promised)


def test_every_lab_is_there_and_graded(exercises_of):
    for chapter, numbers in LABS.items():
        n = CHAPTERS.index(chapter)
        promised = {f"L{n}.{i}": NOT_BUILD.get(f"L{n}.{i}", "Build") for i in numbers}
        labs = {number: e for number, e in exercises_of(chapter).items() if number.startswith("L")}
        assert {number: lab.kind for number, lab in labs.items()} == promised
        assert all(lab.points > 0 and lab.tests for lab in labs.values())


def test_progress_counts_the_same_exercises():
    assert list(check.CORE) == [len(kinds) for _, kinds in map(numbered, CORE)]
    assert sum(check.CORE) == 58
