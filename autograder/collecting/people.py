"""From people, as platforms name them, to students' ids: each has one, and no two share one."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable

from autograder.collecting.names import Who, as_id
from autograder.collecting.roster import Roster

NAMELESS = ("anon", "Participant")  # of Canvas and Moodle, where grading is anonymous


def ids(people: Iterable[Who], roster: Roster, holder: Callable[[str], list | None]) -> dict[tuple[str, str], str]:
    """{(person, number): id, or "" where the name cannot be one}.

    With a roster it is the roster's. Else it is the name, and of people with one name, or whose names become one id,
    each gets the platform's number behind it. holder(id): [person, number] of whoever was collected under that id.
    """
    found, strangers = {}, defaultdict(set)
    for who in people:
        known = roster.find(who)
        if len(known) == 1:
            found[key(who)] = next(iter(known))
        else:
            strangers[as_id(who.person)].add(key(who))
    for base, group in strangers.items():
        for person, number in group:
            found[person, number] = base and _own(base, person, number, group, roster, holder)
    return found


def key(who: Who) -> tuple[str, str]:
    return who.person, who.number


def _own(base: str, person: str, number: str, group: set[tuple[str, str]], roster: Roster, holder) -> str:
    longer = as_id(f"{base}_{number or hashlib.sha256(person.encode()).hexdigest()[:6]}")
    before, long_before = holder(base), holder(longer)
    if long_before == [person, number]:
        return longer
    if before == [person, number] and base not in roster.people:
        return base
    taken = before is not None and before[1] != number and bool(before[1] and number)
    taken = taken or base in roster.people or (before is not None and before[0] != person)
    numbers = {other for name, other in group if name == person and other}
    namesakes = len(numbers) > 1 and bool(number)
    others = {name for name, _ in group}
    alike = len(others) > 1 and person != base
    return longer if taken or namesakes or alike or (person in NAMELESS and number) else base
