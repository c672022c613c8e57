"""Run a function eagerly and traced; compare everything that a caller can see."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from jitops.graph.evaluate import evaluate
from jitops.graph.types import Spec
from jitops.graph.verify import verify
from jitops.trace import Traced, trace

NUMBERS = (int, float, complex)


def leaves(x: Any, out: list[Any]) -> list[Any]:
    """The dynamic leaves of a call, in order."""
    if type(x) in (list, tuple) or isinstance(x, tuple):
        for v in x:
            leaves(v, out)
    elif type(x) is dict:
        for v in x.values():
            leaves(v, out)
    elif type(x) in NUMBERS or isinstance(x, (np.ndarray, np.generic, Spec)):
        out.append(x)
    return out


def run(traced: Traced, dynamic: list[Any]) -> Any:
    """What a compiled call would do: evaluate, write back, build the result."""
    for param in traced.params:
        if param.source[0] == "leaf" and param.weak is int:
            assert param.low <= dynamic[param.source[1]] <= param.high
    inputs = [dynamic[p.source[1]] if p.source[0] == "leaf" else p.source[1] for p in traced.params]
    typed = [np.asarray(v, p.var.type.dtype) for v, p in zip(inputs, traced.params)]
    outs = evaluate(traced.graph, [v.copy() for v in typed])
    assert [o.dtype for o in outs] == [a.type.dtype for a in traced.graph.results]
    for index, result in traced.mutated.items():
        dynamic[traced.params[index].source[1]][...] = outs[result]
    return build(traced.result, outs, dynamic, inputs)


def build(tree: Any, outs: list[Any], dynamic: list[Any], inputs: list[Any]) -> Any:
    """The result from its tree."""
    kind, *rest = tree
    if kind == "out":
        out = outs[rest[0]]
        forms = {"array": np.asarray, "scalar": lambda x: x[()], "number": lambda x: x.item()}
        return forms[rest[1]](out)
    if kind in ("arg", "cap"):
        return (dynamic if kind == "arg" else inputs)[rest[0]]
    if kind == "const":
        return rest[0]
    if kind == "dict":
        return {k: build(v, outs, dynamic, inputs) for k, v in rest[0]}
    parts = [build(v, outs, dynamic, inputs) for v in rest[-1]]
    return {"tuple": tuple, "list": list}[kind](parts) if kind != "namedtuple" else rest[0](*parts)


def tolerance(dtype: Any, rtol: float | None) -> float:
    """The relative error that another order of summation may cause."""
    if rtol is not None:
        return rtol
    kind = np.dtype(dtype)
    if kind.kind not in "fc":
        return 0.0
    return float(np.finfo(kind).eps) * 32


def same(found: Any, wanted: Any, rtol: float | None = None, path: str = "result") -> None:
    """Equal values, types, dtypes and shapes, all the way down."""
    if isinstance(wanted, tuple | list) and not isinstance(wanted, np.ndarray):
        assert isinstance(found, tuple | list), (path, type(found), type(wanted))
        assert len(found) == len(wanted), path
        for i, (f, w) in enumerate(zip(found, wanted)):
            same(f, w, rtol, f"{path}[{i}]")
        return
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), path
        for k in wanted:
            same(found[k], wanted[k], rtol, f"{path}[{k!r}]")
        return
    if isinstance(wanted, (np.ndarray, np.generic)):
        assert isinstance(found, np.ndarray) == isinstance(wanted, np.ndarray), (
            f"{path}: {type(found)} is not {type(wanted)}"
        )
        assert found.dtype == wanted.dtype, f"{path}: {found.dtype} is not {wanted.dtype}"
        assert found.shape == wanted.shape, f"{path}: {found.shape} is not {wanted.shape}"
        limit = tolerance(wanted.dtype, rtol)
        scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0) if wanted.size else 0
        np.testing.assert_allclose(
            found, wanted, rtol=limit, atol=limit * float(scale), equal_nan=True, err_msg=path
        )
        return
    if isinstance(wanted, float) and isinstance(found, float):
        assert found == wanted or abs(found - wanted) < 1e-12 or found != found, path
        return
    assert found == wanted, path


def check(
    fn: Any, *args: Any, rtol: float | None = None, static: Any = (), **kwargs: Any
) -> Traced:
    """The traced function gives what the function gives, and changes the arguments as it does."""
    eager_args, eager_kwargs = copy.deepcopy((args, kwargs))
    traced_args, traced_kwargs = duplicated((args, kwargs))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        wanted = fn(*eager_args, **eager_kwargs)
    traced = trace(fn, traced_args, traced_kwargs, static)
    verify(traced.graph)
    again = trace(fn, traced_args, traced_kwargs, static)
    assert str(again.graph) == str(traced.graph)
    dynamic = leaves((traced_args, traced_kwargs), [])
    found = run(traced, dynamic)
    same(found, wanted, rtol)
    for i, (mine, numpys) in enumerate(zip(dynamic, leaves((eager_args, eager_kwargs), []))):
        same(mine, numpys, rtol, f"argument {i}")
    return traced


def duplicated(x: Any) -> Any:
    """A copy of nested arguments that keeps the arrays' memory layout."""
    if type(x) in (list, tuple):
        return type(x)(map(duplicated, x))
    if isinstance(x, tuple):
        return type(x)(*map(duplicated, x))
    if type(x) is dict:
        return {k: duplicated(v) for k, v in x.items()}
    if isinstance(x, np.ndarray):
        return _laid_out_like(x)
    return x


def _laid_out_like(x: Any) -> Any:
    if x.flags.c_contiguous or 0 in x.shape or any(s == 0 for s in x.strides):
        return x.copy()
    low = sum(s * (n - 1) for s, n in zip(x.strides, x.shape) if s < 0)
    high = sum(s * (n - 1) for s, n in zip(x.strides, x.shape) if s > 0)
    memory = np.zeros(high - low + x.itemsize, "u1")
    out = np.ndarray(x.shape, x.dtype, memory, -low, x.strides)
    out[...] = x
    return out
