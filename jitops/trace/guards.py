"""What a traced function finds outside of itself: bound to something else, it is traced anew.

A guard is a place and what the trace found there: a global, a variable of a closure, or an
attribute. The dispatcher compares by identity at each call, as torch.compile's guards do. Places
are those that the code names, of the function and of the functions it can reach, so that what
else changes in a module or an object costs nothing. Modules, classes, and the items of lists and
dicts are taken as they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from jitops.trace.raising import unsupported
from jitops.trace.tracer import Tracer
from jitops.trace.weak import Weak

Guard = tuple[Any, Any, object]  # a dict and a key, or a cell and None; the object found there

FOREIGN = ("numpy", "jitops", "math", "torch", "jax", "scipy", "builtins")
MOST_OBJECTS = 1000  # looked into


def guards(fn: Any, args: Iterable[Any]) -> tuple[Guard, ...]:
    """The guards of a function that was called with these arguments (a flat list of objects)."""
    search = _Search()
    search.visit(fn)
    for x in args:
        search.visit(x)
    return search.run()


class _Search:
    def __init__(self) -> None:
        self.names: set[str] = set()  # of globals and attributes, in any code that is reached
        self.found: dict[tuple[int, Any], Guard] = {}
        self.seen: dict[int, Any] = {}  # by identity, which only lasts while they live
        self.owners: list[tuple[dict[str, Any], Any]] = []  # namespaces, and whose they are

    def run(self) -> tuple[Guard, ...]:
        """Until no code and no object is new: names that come late count for all objects."""
        before = None
        while before != (before := (len(self.names), len(self.owners))):
            for namespace, owner in list(self.owners):
                for name in self.names & namespace.keys():
                    self.place(namespace, name, namespace[name], owner)
                self.methods(owner)
        return tuple(self.found.values())

    def place(self, holder: Any, key: Any, value: Any, owner: Any) -> None:
        if type(value) is Tracer or type(value) is Weak:
            if not isinstance(owner, (FunctionType, ModuleType)):
                raise _kept(key, value, owner)
            return
        if _guarded(value):
            self.found[id(holder), key] = (holder, key, value)
        self.visit(value)

    def visit(self, x: Any) -> None:
        """Look into a function, or an object with attributes, once."""
        if id(x) in self.seen or len(self.seen) >= MOST_OBJECTS:
            return
        self.seen[id(x)] = x
        if isinstance(x, MethodType):
            self.visit(x.__self__)
            self.visit(x.__func__)
        elif isinstance(x, FunctionType):
            self.function(x)
        elif isinstance(x, (list, tuple, dict)):
            items = x.values() if isinstance(x, dict) else x
            for item in islice(items, MOST_OBJECTS):
                self.visit(item)
        elif _is_op(x):
            self.visit(x.eager)
        elif not _foreign(x):
            namespace = getattr(x, "__dict__", None)
            if type(namespace) is dict:
                self.owners.append((namespace, x))

    def function(self, fn: FunctionType) -> None:
        if _foreign(fn):
            return
        names = _names(fn.__code__)
        self.names |= names
        for name in names & fn.__globals__.keys():
            self.place(fn.__globals__, name, fn.__globals__[name], fn)
        for cell in fn.__closure__ or ():
            if _content(cell) is not cell:
                self.place(cell, None, cell.cell_contents, fn)

    def methods(self, owner: Any) -> None:
        """The methods of an object's class that the code names."""
        for kind in () if isinstance(owner, ModuleType) else type(owner).__mro__:
            for name in (self.names | {"__call__"}) & vars(kind).keys():
                if isinstance(vars(kind)[name], FunctionType):
                    self.visit(vars(kind)[name])


def _names(code: CodeType) -> set[str]:
    """The globals and attributes that code names, also in the functions defined in it."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


def _content(cell: CellType) -> Any:
    """What a cell holds; itself where it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return cell


def _guarded(x: Any) -> bool:
    """All but modules, classes and the functions of libraries, which nobody binds anew."""
    return _is_op(x) or not (isinstance(x, (ModuleType, type)) or (callable(x) and _foreign(x)))


def _is_op(x: Any) -> bool:
    return type(x).__module__.startswith("jitops.") and hasattr(x, "eager")


def _foreign(x: Any) -> bool:
    """Whether it belongs to a library whose state no user changes."""
    of = x if isinstance(x, (ModuleType, FunctionType, type)) else type(x)
    name = of.__name__ if isinstance(of, ModuleType) else of.__module__ or ""
    return name.partition(".")[0] in FOREIGN


def _kept(name: str, value: Any, owner: Any) -> Exception:
    return unsupported(
        f"the function keeps {value!r} in attribute {name!r} of {type(owner).__name__}",
        "Return it, and set the attribute outside of the op.",
    )


def changed(guards: Iterable[Guard]) -> list[str]:
    """The names of the places that hold something else by now."""
    found = []
    for holder, key, value in guards:
        now = _content(holder) if isinstance(holder, CellType) else holder.get(key)
        if now is not value:
            found.append(key or f"a variable of a closure that was {value!r:.40}")
    return found
