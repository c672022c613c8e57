"""What Python has no function for, run by jitops: ``x[key]``, ``x[key] = value``, ``x.take``.

`rewritten` makes calls of the functions below of such expressions in a module's text. A part of an
array is compared with NumPy's on the spot; NumPy's is what the module gets, as it may be a view.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from operator import getitem
from typing import Any

import compiled_numpy
import numpy

__all__ = ["assigned", "bound", "part", "rewritten"]

METHODS = frozenset(
    ("take", "put", "choose", "compress", "repeat", "sort", "argsort", "partition", "searchsorted")
)
OPERATORS = frozenset(("__getitem__", "__setitem__"))


class Calls(ast.NodeTransformer):
    """Expressions and assignments as calls."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return call("part", node.value, key(node)) if isinstance(node.ctx, ast.Load) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and node.attr in METHODS | OPERATORS:
            return call("bound", node.value, ast.Constant(node.attr))
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        target = node.targets[0]
        if len(node.targets) == 1 and isinstance(target, ast.Subscript):
            return ast.Expr(call("assigned", target.value, key(target), node.value))
        return node


def call(name: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def key(node: ast.Subscript) -> ast.expr:
    """The key as an expression of its own: slices become calls of `slice`."""
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    made = [
        call("slice", *(end or ast.Constant(None) for end in (k.lower, k.upper, k.step)))
        if isinstance(k, ast.Slice)
        else k
        for k in items
    ]
    return ast.Tuple(made, ast.Load()) if isinstance(node.slice, ast.Tuple) else made[0]


def rewritten(text: str) -> str:
    """The module's text with calls of this module's functions in it."""
    tree = ast.fix_missing_locations(Calls().visit(ast.parse(text)))
    return "from compiled_syntax import assigned, bound, part\n" + ast.unparse(tree)


# --- at run time --------------------------------------------------------------------------------


def part(x: Any, key: Any) -> Any:
    """``x[key]``; masks are constants of the op, because they shape the result."""
    if not (type(x) is numpy.ndarray and compiled_numpy.numeric(x)):
        return x[key]
    found = compiled_numpy.run(getitem, (x, constant_masks(key)), {})
    wanted = x[key]
    assert type(found) is type(wanted)
    assert found.dtype == wanted.dtype
    numpy.testing.assert_array_equal(found, wanted, strict=True)
    return wanted


def assigned(x: Any, key: Any, value: Any) -> None:
    """``x[key] = value``."""
    own = type(x) is numpy.ndarray and compiled_numpy.numeric(x)
    given = [x, *compiled_numpy.leaves_of((key, value))]
    if not own or not x.flags.writeable or compiled_numpy.overlap(given):
        x[key] = value
        return
    masks = sum(is_mask(k) for k in (key if type(key) is tuple else (key,)))
    if masks and len(compiled_numpy.leaves_of(key)) > 1:
        key = constant_masks(key)
    compiled_numpy.run(set_item, (x, key, value), {})


def set_item(x: Any, key: Any, value: Any) -> None:
    x[key] = value


def is_mask(k: Any) -> bool:
    return isinstance(k, (numpy.ndarray, numpy.generic)) and k.dtype == bool


def constant_masks(key: Any) -> Any:
    """The key with lists in the places of masks; an empty one is an array of no place at all."""
    if type(key) is tuple:
        return tuple(map(constant_masks, key))
    return key.tolist() if is_mask(key) and key.size else key


def bound(x: Any, name: str) -> Any:
    """``x.name``, of an array a function that runs in jitops."""
    if type(x) is not numpy.ndarray or not compiled_numpy.numeric(x):
        return getattr(x, name)
    if name in OPERATORS:
        return functools.partial(part if name == "__getitem__" else assigned, x)
    return lambda *args, **named: compiled_numpy.run(method(name), (x, *args), named)


@functools.cache
def method(name: str) -> Callable[..., Any]:
    """The method as a function, one for each name."""

    def run(x: Any, *args: Any, **named: Any) -> Any:
        return getattr(x, name)(*args, **named)

    run.__name__ = name
    return run
