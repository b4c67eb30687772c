"""In the test kernel: what stands in for the learner's objects, so that test cells run as they do in a notebook.

A request goes to the grader as a kernel's `input_request` and comes back as its reply, so the test kernel needs no
channel but the one every kernel has.
"""

import ast
import builtins
import itertools
import json
import symtable
from array import array
from collections.abc import Callable, Iterable

from autograder.grading.border import Given, Handle, decode, encode, error_of
from autograder.grading.python_text import parsed
from course.probe import source_of

MOST_ITEMS = 100_000  # that one loop over a stand-in takes
MOST_LENGTH = 10**7  # that len() of a stand-in says; Python makes room for as many before it asks for the first
MOST_REQUESTS = 100_000  # of one test cell
CHUNK = 1000  # items that one request brings
_OWN = ("_repr_", "_ipython_", "_mime")  # what a notebook asks of whatever it shows

_asked = itertools.count()  # requests of this test cell


class _Remote(Handle):
    """An object of the learner's: its methods run there, its data come from there."""

    def __init__(self, number: int, type_name: str = "object", plain=None):
        vars(self).update(_number=number, _type_name=type_name, _methods=set())

    def __getattr__(self, name: str):
        __tracebackhide__ = True
        if "_number" not in vars(self) or (name.startswith("__") and name.endswith("__")) or name.startswith(_OWN):
            raise AttributeError(name)
        if name not in self._methods:
            reply = _ask({"do": "attribute", "target": self._number, "name": name})
            if "value" in reply:
                return decode(reply["value"], stand_in)
            self._methods.add(name)

        def method(*args, **kwargs):
            __tracebackhide__ = True
            value = _call(self._number, name, args, kwargs)
            self._refresh()
            return value

        method.__name__ = name
        return method

    def _refresh(self) -> None:
        pass


class StandIn(_Remote):
    """A function, class or object of the learner's: what is asked of it goes across, but never what it is equal to."""

    def __call__(self, /, *args, **kwargs):
        __tracebackhide__ = True
        return _call(self._number, None, args, kwargs)

    def _do(self, operator: str, *args):
        __tracebackhide__ = True
        return _call(self._number, operator, args, {})

    def __setattr__(self, name: str, value):
        self._do("__setattr__", name, value)

    def __len__(self):
        length = self._do("__len__")
        if length > MOST_LENGTH:
            raise ValueError(f"an answer of length {length:,} is too long to be looked at")
        return length

    def __bool__(self):
        return self._do("__bool__") is True

    def __contains__(self, item):
        return self._do("__contains__", item)

    def __getitem__(self, key):
        return self._do("__getitem__", key)

    def __setitem__(self, key, value):
        self._do("__setitem__", key, value)

    def __delitem__(self, key):
        self._do("__delitem__", key)

    def __iter__(self):
        items = self._do("__iter__")
        if isinstance(items, StandIn):  # an iterator of the learner's own gives one item when it is asked for one
            items = _items(items._number, most=1 if items._number == self._number else CHUNK)
        return _at_most(items)

    def __reversed__(self):
        items = self._do("__reversed__")
        return _at_most(_items(items._number, CHUNK) if isinstance(items, StandIn) else items)

    def __next__(self):
        for item in _items(self._number, most=1):
            return item
        raise StopIteration

    def __instancecheck__(self, value):
        return self._do("__instancecheck__", value)

    def __subclasscheck__(self, kind):
        return self._do("__subclasscheck__", kind)

    def __copy__(self):
        return self._do("__copy__")

    def __deepcopy__(self, memo):
        return self._do("__deepcopy__")

    def __reduce_ex__(self, protocol):
        raise TypeError(f"{self!r} stays in the answer's process and cannot be pickled")

    def __repr__(self):
        return f"<{self._type_name} of the answer>"

    __eq__ = object.__eq__  # nothing of the learner's decides what is equal
    __hash__ = object.__hash__


def _items(number: int, most: int) -> Iterable:
    """The items of an iterator of the learner's, more with each request as long as they are taken."""
    count, end = 1, False
    while not end:
        reply = _ask({"do": "next", "target": number, "count": count})
        yield from decode(reply["value"], stand_in)
        count, end = min(2 * count, most), reply["end"]


def _at_most(items: Iterable) -> Iterable:
    for count, item in enumerate(items):
        if count == MOST_ITEMS:
            raise ValueError(f"an answer that goes on for more than {MOST_ITEMS:,} items is too long to be looked at")
        yield item


def _plain_with_methods(base: type) -> type:
    """A type of plain values whose further methods are the learner's; what Python itself does with them is not."""

    def new(cls, number, type_name, plain):
        return base.__new__(cls, plain)

    def init(self, number, type_name, plain):
        _Remote.__init__(self, number, type_name)
        if base in (list, dict, set):
            base.__init__(self, plain)

    def refresh(self):
        if base in (list, dict, set):
            plain = decode(_ask({"do": "plain", "target": self._number})["value"], stand_in)
            self.clear()
            (self.extend if base is list else self.update)(plain)

    def reduce(self, protocol):
        return base, (base(self),)

    manners = {"__new__": new, "__init__": init, "_refresh": refresh, "__reduce_ex__": reduce}
    return type(f"{base.__name__} of the answer", (base, _Remote), manners)


_PLAIN = {
    base: _plain_with_methods(base)
    for base in (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
}  # fmt: skip


def stand_in(number: int, type_name: str, plain=None):
    """What stands for an object of the learner's; plain: the value that it is as well, if it is one."""
    kind = _PLAIN.get(type(plain))
    return kind(number, type_name, plain) if kind else StandIn(number, type_name)


def names_read(code: str) -> list[str]:
    """The names that a test cell reads before it defines them, or without defining them: those of the learner's answer.

    A name that is defined on some ways only, as in one branch of an `if`, is among them.
    """
    flow = _Flow()
    defined = flow.block(parsed(code).body, set())
    tables, read = [symtable.symtable(code, "<test>", "exec")], set(flow.read)
    for table in tables:
        tables.extend(table.get_children())
        if table.get_type() != "module":
            read |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global()} - defined
    return sorted(name for name in read if not hasattr(builtins, name))


class _Flow:
    """Follows a cell's own statements from top to bottom; what functions read, symtable knows."""

    def __init__(self):
        self.read: set[str] = set()

    def block(self, statements: list, defined: set[str]) -> set[str]:
        """The names that are defined for certain after `statements`."""
        for statement in statements:
            defined = self.statement(statement, defined)
        return defined

    def statement(self, node: ast.stmt, defined: set[str]) -> set[str]:
        if isinstance(node, ast.If):
            defined = self.expression(node.test, defined)
            return self.block(node.body, defined) & self.block(node.orelse, defined)
        if isinstance(node, ast.For | ast.While | ast.With | ast.AsyncFor | ast.AsyncWith):
            heads = [part for name, part in ast.iter_fields(node) if name in ("iter", "test", "items", "target")]
            for head in heads[::-1] if isinstance(node, ast.For | ast.AsyncFor) else heads:
                for part in head if isinstance(head, list) else [head]:
                    defined = self.expression(part, defined)
            return self.block(getattr(node, "orelse", []), self.block(node.body, defined))
        if isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            return self.attempt(node, defined)
        if isinstance(node, ast.Match):
            defined = self.expression(node.subject, defined)
            ends = [self.block(case.body, self.case(case, defined)) for case in node.cases]
            return defined.union(set.intersection(*ends) if _takes_all(node.cases[-1]) else set())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return self.definition(node, defined)
        if isinstance(node, ast.Delete):
            self.expression(node, defined)
            gone = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Del)}
            self.read |= gone - defined
            return defined - gone
        if isinstance(node, ast.Import | ast.ImportFrom):
            return defined | {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        if isinstance(node, ast.AugAssign):
            self.read |= {node.target.id} - defined if isinstance(node.target, ast.Name) else set()
        if isinstance(node, ast.AnnAssign) and node.value is None:
            self.expression(node.annotation, defined)
            return defined
        return self.expression(node, defined)

    def attempt(self, node, defined: set[str]) -> set[str]:
        ends = [self.block(node.orelse, self.block(node.body, defined))]
        for handler in node.handlers:
            caught = self.expression(handler.type, defined) if handler.type else defined
            ends.append(self.block(handler.body, caught | ({handler.name} if handler.name else set())) - {handler.name})
        return self.block(node.finalbody, set.intersection(*ends))

    def case(self, case, defined: set[str]) -> set[str]:
        """What is defined where a case's body begins: the names that its pattern takes."""
        for part in ast.walk(case.pattern):
            self.read |= {part.id} - defined if isinstance(part, ast.Name) else set()
        taken = {getattr(part, "name", None) or getattr(part, "rest", None) for part in ast.walk(case.pattern)}
        defined = defined | (taken - {None})
        return self.expression(case.guard, defined) if case.guard else defined

    def definition(self, node, defined: set[str]) -> set[str]:
        """A function or class: its decorators, defaults, bases and annotations are read where it is defined."""
        parts = [*node.decorator_list, getattr(node, "returns", None), getattr(node, "args", None)]
        for part in [*parts, *getattr(node, "bases", []), *getattr(node, "keywords", [])]:
            defined = self.expression(part, defined) if part else defined
        return defined | {node.name}

    def expression(self, node: ast.AST, defined: set[str]) -> set[str]:
        """What is defined after an expression or a statement without a block: names read first, then those set."""
        names = list(_names(node))
        self.read |= {name.id for name in names if isinstance(name.ctx, ast.Load)} - defined
        return defined | {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _names(node: ast.AST) -> Iterable[ast.Name]:
    """The names in `node` that are the module's own business: not those within a lambda, nor a comprehension's own."""
    if isinstance(node, ast.Name):
        yield node
    elif isinstance(node, ast.Lambda):
        yield from _names(node.args)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        bound = {name.id for each in node.generators for name in _names(each.target)}
        yield from _names(node.generators[0].iter)  # which knows nothing of the targets
        for child in ast.iter_child_nodes(node):
            yield from (name for name in _names(child) if name.id not in bound)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _takes_all(case) -> bool:
    """Whether a case takes whatever comes: `case _:`, `case name:`."""
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def bind(names: list[str]) -> dict:
    """{name: the learner's value, or its stand-in} for those of `names` that the learner has; a test cell begins."""
    global _asked
    _asked = itertools.count()
    replies = {name: _ask({"do": "get", "name": name}) for name in names}
    return {name: decode(reply["value"], stand_in) for name, reply in replies.items() if "value" in reply}


def run_beside_the_answers(function: Callable, fresh: bool = False) -> Callable:
    """What `course.probe.probe` becomes here: the source is run in the learner's kernel, or in a fresh one like it."""
    source = source_of(function)

    def across(*args, **kwargs):
        __tracebackhide__ = True
        request = {"do": "fresh" if fresh else "probe", "source": source, "name": function.__name__}
        return decode(_ask(request | {"args": encode(args), "kwargs": encode(kwargs)})["value"], stand_in)

    return across


def _call(number: int, method: str | None, args: tuple, kwargs: dict):
    __tracebackhide__ = True
    given = Given()
    sent = {"args": encode(args, given=given), "kwargs": encode(kwargs, given=given)}
    reply = _ask({"do": "call", "target": number, "method": method} | sent)
    value = decode(reply["value"], stand_in, given)
    after = [(decode({"given": place}, given=given), decode(data, stand_in, given)) for place, data in reply["after"]]
    for before, now in after:
        _follow(before, now)
    return value


def _follow(before, now) -> None:
    """Change an argument as the answer changed its copy, so that a test sees it. Raises ValueError for another kind."""
    if type(now) in (list, bytearray, array) and isinstance(before, type(now)):
        before[:] = now
    elif isinstance(before, dict | set) and isinstance(before, type(now)):
        before.clear()
        before.update(now)
    elif hasattr(before, "copy_") and hasattr(now, "copy_") and before.dtype == now.dtype:
        _follow_tensor(before, now)
    elif hasattr(before, "flags") and hasattr(now, "flags") and before.dtype == now.dtype and before.size == now.size:
        if before.shape != now.shape:
            before.shape = now.shape
        if before.flags.writeable:
            before[...] = now
    else:
        raise ValueError(f"the answer's process sent back a {type(now).__name__} for a {type(before).__name__}")


def _follow_tensor(before, now) -> None:
    if before.shape == now.shape:
        before.detach().copy_(now)
    else:
        before.data = now


def _ask(request: dict) -> dict:
    __tracebackhide__ = True
    from IPython import get_ipython

    if next(_asked) >= MOST_REQUESTS:
        raise RuntimeError(f"a test cell asks the answer no more than {MOST_REQUESTS:,} times")
    reply = json.loads(get_ipython().ask(json.dumps(request)))
    if "error" in reply:
        raise error_of(reply["error"])
    return reply
