"""One call's arguments as the pipeline needs them: leaves, layouts, copies of misfits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.errors import ArgumentError
from jitops.graph.types import Shape, Spec
from jitops.trace import Traced
from jitops.trace.tree import mapped

_CODE_VARARGS, _CODE_VARKEYWORDS = 0x04, 0x08


class Call:
    """The arguments of a call, flattened.

    args, kwargs: the arguments; unaligned and byte-swapped arrays replaced by plain copies
    (`copied`). traceable_args, traceable_kwargs: the same with tensors of other libraries replaced
    by specs. kinds, layouts: of each dynamic leaf, in call order; see `jitops.pipeline.Request`.
    """

    def __init__(
        self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], static: frozenset[str]
    ) -> None:
        self.static = static
        leaves = op.leaves(args, kwargs)
        for leaf in leaves:
            if leaf[1] == "array":
                _refuse_subclass(op, leaf[0])
        swapped: dict[int, Any] = {}
        for leaf in leaves:
            if leaf[1] == "array" and not _fits(leaf):
                swapped[id(leaf[0])] = _plain_copy(leaf[0])
        self.copied = [(leaf[0], swapped[id(leaf[0])]) for leaf in leaves if id(leaf[0]) in swapped]
        self.args = replaced(args, swapped) if swapped else args
        self.kwargs = replaced(kwargs, swapped) if swapped else kwargs
        self.leaves = op.leaves(self.args, self.kwargs) if swapped else leaves
        self.parameters = parameters_of(op.eager)
        self.kinds = [leaf[1] for leaf in self.leaves]
        self.layouts: list[Shape | None] = [leaf[4] for leaf in self.leaves]
        specs = {
            id(o): Spec(shape, dtype) for o, k, dtype, shape, *_ in self.leaves if k == "tensor"
        }
        self.traceable_args = replaced(self.args, specs) if specs else self.args
        self.traceable_kwargs = replaced(self.kwargs, specs) if specs else self.kwargs

    def name_of(self, leaf: int) -> str:
        """The parameter that a leaf is, if it is one by itself; else an empty string."""
        position = 0
        positional = zip(self.parameters, self.traceable_args)
        for name, argument in (*positional, *self.traceable_kwargs.items()):
            whole = isinstance(argument, (int, np.integer))
            if position == leaf and whole and name not in self.static:
                return str(name)
            position += 0 if name in self.static else count_leaves(argument)
        return ""

    def _named(self) -> list[tuple[str, Any]]:
        """The arguments with their parameters' names."""
        more = (f"args[{i}]" for i in range(len(self.parameters), len(self.args)))
        positional = zip((*self.parameters, *more), self.traceable_args)
        return [*positional, *self.traceable_kwargs.items()]

    def leaf_names(self) -> list[str]:
        """What messages call each leaf: ``x``, ``params['w'][0]``."""
        names: list[str] = []
        for name, argument in self._named():
            if name not in self.static:
                mapped(argument, name, lambda leaf, place: names.append(place))
        return names

    def statics(self) -> list[tuple[str, Any]]:
        """The static parameters that were given, and their values."""
        return [(name, value) for name, value in self._named() if name in self.static]

    def unfit_for(self, traced: Traced) -> str:
        """Why a kernel may not run on these very arguments; empty when it may."""
        arrays = [leaf for leaf in self.leaves if leaf[1] == "array"]
        for number, param in enumerate(traced.params):
            kind, source = param.source
            if kind != "leaf":
                continue
            leaf = self.leaves[source]
            low, high = param.low, param.high
            bounded = leaf[1] == "int" and low is not None and high is not None
            if bounded and not low <= leaf[0] <= high:
                return f"{param.name} = {leaf[0]} does not fit in {low}..{high}"
            if number not in traced.mutated or leaf[1] != "array":
                continue
            if not leaf[6]:
                return f"{param.name} is written but read-only"
            others = [other for other in arrays if other is not leaf]
            if any(np.may_share_memory(leaf[0], other[0]) for other in others):
                return f"{param.name} is written and shares memory with another argument"
        return ""

    def copy_back(self, traced: Traced) -> None:
        """Write the new contents of copied arguments to the originals."""
        written = {
            id(self.leaves[param.source[1]][0])
            for number, param in enumerate(traced.params)
            if number in traced.mutated and param.source[0] == "leaf"
        }
        for original, copy in self.copied:
            if id(copy) in written:
                original[...] = copy

    def originals(self, result: Any) -> Any:
        """The result with arguments themselves in the places of their copies."""
        return replaced(result, {id(copy): original for original, copy in self.copied})

    def signature(self, described: Callable[[Any], Any] = lambda leaf: leaf[1:5]) -> Any:
        """What a kernel for such a call depends on, hashable; the values of numbers left out.

        described: what counts of a leaf; kind, dtype, shape and strides.
        """
        leaves = {id(leaf[0]): described(leaf) for leaf in self.leaves}
        return _frozen((self.args, self.kwargs), leaves)

    def eager(self, fn: Callable[..., Any]) -> Any:
        """What the plain function gives: tensors go in as arrays, results in the caller's kind."""
        tensors = [leaf[0] for leaf in self.leaves if leaf[1] == "tensor"]
        if not tensors and not self.copied:
            return fn(*self.args, **self.kwargs)
        swaps = {id(t): np.from_dlpack(t) for t in tensors}
        swaps.update((id(copy), original) for original, copy in self.copied)
        result = fn(*replaced(self.args, swaps), **replaced(self.kwargs, swaps))
        if not tensors:
            return result
        back = {id(swaps[id(t)]): t for t in tensors}
        return _in_kind_of(type(tensors[0]), result, back)


def _frozen(tree: Any, leaves: dict[int, Any]) -> Any:
    found = leaves.get(id(tree))
    if found is not None:
        return found
    if isinstance(tree, (tuple, list)):
        return (type(tree), *(_frozen(x, leaves) for x in tree))
    if type(tree) is dict:
        return (dict, *((k, _frozen(v, leaves)) for k, v in tree.items()))
    try:
        hash(tree)
    except TypeError:
        return id(tree)
    return (type(tree), tree)


def _in_kind_of(kind: type, tree: Any, back: dict[int, Any]) -> Any:
    """The tree with arrays made tensors of this library; an argument's array is the argument."""
    if isinstance(tree, np.ndarray):
        if id(tree) in back:
            return back[id(tree)]
        library = sys.modules[kind.__module__.partition(".")[0]]
        make = getattr(library, "from_dlpack", None)
        make = make or getattr(getattr(library, "dlpack", None), "from_dlpack", None)
        return tree if make is None else make(tree)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_in_kind_of(kind, x, back) for x in tree))
    if type(tree) in (tuple, list):
        return type(tree)(_in_kind_of(kind, x, back) for x in tree)
    if type(tree) is dict:
        return {k: _in_kind_of(kind, v, back) for k, v in tree.items()}
    return tree


def _refuse_subclass(op: Any, array: Any) -> None:
    """Subclasses change what operators mean (matrix) or hold more than numbers (masked arrays)."""
    if type(array) in (np.ndarray, np.memmap, Spec):
        return
    raise ArgumentError(
        f"op {op.__name__!r} got an array of another class",
        found=f"{type(array).__module__}.{type(array).__name__}",
        accepted="numpy.ndarray, numpy.memmap, and tensors that speak DLPack",
        way_out="Pass np.asarray(x) where its plain values are meant.",
    )


def _fits(leaf: tuple[Any, ...]) -> bool:
    array, layout = leaf[0], leaf[4]
    if leaf[2] is None or isinstance(array, Spec):
        return True  # no dtype that a kernel takes: the trace says so, naming the argument
    return bool(leaf[5]) and all(s % array.dtype.itemsize == 0 for s in layout or ())


def _plain_copy(array: Any) -> Any:
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)


def replaced(tree: Any, swaps: dict[int, Any]) -> Any:
    """The tree with some leaves, named by identity, replaced."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind(replaced(x, swaps) for x in tree)
    if kind is dict:
        return {k: replaced(v, swaps) for k, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(kind, "_fields"):
        return kind(*(replaced(x, swaps) for x in tree))
    return swaps.get(id(tree), tree)


def count_leaves(tree: Any) -> int:
    """How many runtime values an argument holds."""
    found: list[Any] = []
    mapped(tree, "", lambda leaf, name: found.append(leaf))
    return len(found)


def parameters_of(fn: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the positional parameters; of a bound method, those after ``self``."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names[1:] if hasattr(fn, "__self__") else names


def static_names_of(fn: Callable[..., Any], static: str | Sequence[str]) -> tuple[str, ...]:
    """The checked names of static parameters."""
    names = (static,) if isinstance(static, str) else tuple(static)
    code = getattr(fn, "__code__", None)
    if code is None:
        return names
    count = code.co_argcount + code.co_kwonlyargcount
    known = code.co_varnames[:count]
    for name in names:
        takes_any = code.co_flags & _CODE_VARKEYWORDS
        if not isinstance(name, str) or (name not in known and not takes_any):
            raise ArgumentError(
                f"static={names!r} of op {fn.__name__!r}",
                found=repr(name),
                accepted=f"names of its parameters: {', '.join(known) or 'it has none'}",
            )
    return names
