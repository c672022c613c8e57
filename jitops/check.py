"""Compare a fresh kernel with the plain function, on inputs that a seed makes.

What is compared: every result, and every array argument that the function writes. Two results agree
where they are equal, both NaN, or differ by no more than

    tolerance * (|expected| + largest finite |expected|)

with tolerance = eps * (64 + 4 * sqrt(n)), eps the machine epsilon of the coarsest floating dtype
in the graph, n the largest number of elements folded into one, or of steps of a loop; ten thousand
times that where the op has host steps, such as a system to be solved. Where floats decide a whole
number, a bool or a NaN, one element in a thousand may fall on the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jitops._native import Binding, Dispatcher
from jitops.arguments import parameters_of, replaced
from jitops.errors import CompileError
from jitops.graph.control import bodies
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import typical
from jitops.graph.types import Spec
from jitops.spec_text import strided

if TYPE_CHECKING:
    from jitops.graph.graph import Graph
    from jitops.pipeline import Request
    from jitops.trace import Traced

__all__ = ["compare", "seeded"]

CONDITION = 1e4  # how much a system to be solved, of random numbers, may amplify an error
UNKNOWN = 1000  # steps of a loop whose number is not known
EDGE = 1e-3  # the part of the elements that may fall on the other side of an edge


def compare(
    request: Request, traced: Traced, binding: Binding, digest: str
) -> dict[str, Any] | None:
    """The seed and the largest error of a comparison; None where none can be made.

    The error is in units of |expected| + largest |expected|. Raises CompileError where kernel and
    function disagree. No comparison: the function writes an array that it captured, draws random
    numbers, or raises on such inputs.
    """
    if any(traced.params[number].source[0] == "captured" for number in traced.mutated):
        return None
    if any("draw" in eqn.attrs for eqn in traced.graph.eqns):
        return None
    seed = int(digest[:12], 16)
    ours, theirs = seeded(request, seed), seeded(request, seed)
    with np.errstate(all="ignore"):
        try:
            expected = request.fn(*theirs[0], **theirs[1])
        except Exception:  # it does not like these inputs, or needs what only a tensor has
            return None
        found = _run(request, binding, *ours)
    inexact, tolerance = _tolerance(traced.graph)
    pairs: list[tuple[str, Any, Any]] = []
    _pair("the result", found, expected, pairs)
    _pair("an argument", ours, theirs, pairs)
    worst = 0.0
    for name, a, b in pairs:
        worst = max(worst, _error(request.name, name, a, b, inexact, tolerance))
    return {"seed": seed, "max_error": worst, "tolerance": tolerance}


def seeded(request: Request, seed: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The request's arguments with fresh random arrays, laid out as its own."""
    rng = np.random.default_rng(seed)
    swaps: dict[int, Any] = {}
    tree = (request.args, request.kwargs)
    for leaf in _arrays(tree):
        if id(leaf) not in swaps:
            swaps[id(leaf)] = _random_like(leaf, rng)
    args, kwargs = replaced(tree, swaps)
    return args, kwargs


def _arrays(tree: Any) -> list[Any]:
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in _arrays(item)]
    if type(tree) is dict:
        return [leaf for item in tree.values() for leaf in _arrays(item)]
    return [tree] if isinstance(tree, (np.ndarray, Spec)) else []


def _random_like(leaf: Any, rng: np.random.Generator) -> Any:
    dtype, shape = leaf.dtype, leaf.shape
    if dtype.kind == "b":
        values = rng.random(shape) < 0.5
    elif dtype.kind in "iu":
        # Small: they index, shift and count as often as they are added.
        values = rng.integers(0, 4, shape)
    elif dtype.kind == "c":
        values = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    else:
        values = rng.standard_normal(shape)
    array = np.asarray(values).astype(dtype)
    if isinstance(leaf, Spec) or leaf.flags.c_contiguous:
        return array
    copy = np.empty_like(leaf, subok=False)  # keeps an order of axes, not gaps or negative steps
    if copy.strides != leaf.strides:
        copy = strided(leaf.shape, dtype, leaf.strides)
    copy[...] = array
    return copy


def _run(request: Request, binding: Binding, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def refuse(*_: Any) -> Any:
        raise CompileError(f"the kernel of op {request.name!r} does not take its own arguments")

    probe = Dispatcher(request.name, refuse, request.static, parameters_of(request.fn), None)
    probe.insert(args, kwargs, binding)
    return probe(*args, **kwargs)


def _tolerance(graph: Graph) -> tuple[bool, float]:
    """Whether anything is rounded, and by how much."""
    graphs = list(_with_bodies(graph))
    eqns = [eqn for each in graphs for eqn in each.eqns]
    variables = [v for each in graphs for v in each.params]
    variables += [v for eqn in eqns for v in eqn.outputs]
    floats = [v.type.dtype for v in variables if v.type.dtype.kind not in "iub"]
    epsilons = [_epsilon(dtype) for dtype in floats]
    folded = 1
    for eqn in eqns:
        if PRIMITIVES[eqn.op].kind in ("reduce", "scan", "dot"):
            folded = max(folded, *(typical(atom.type.size) for atom in eqn.inputs))
        elif eqn.op == "for":  # what is carried is rounded at every step
            folded = max(folded, eqn.attrs["length"] or UNKNOWN)
        elif eqn.op == "while":
            folded = max(folded, UNKNOWN)
    factor = 64 + 4 * folded**0.5
    if any(eqn.op == "host" for eqn in graph.eqns):
        factor *= CONDITION
    return bool(floats), max(epsilons, default=0.0) * factor


def _with_bodies(graph: Graph) -> Iterator[Graph]:
    yield graph
    for eqn in graph.eqns:
        for body in bodies(eqn):
            yield from _with_bodies(body)


def _epsilon(dtype: Any) -> float:
    return 2.0**-7 if dtype.kind == "V" else float(np.finfo(dtype).eps)


def _pair(name: str, a: Any, b: Any, pairs: list[tuple[str, Any, Any]]) -> None:
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b):
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            _pair(f"{name}[{number}]", x, y, pairs)
    elif type(a) is dict and type(b) is dict and a.keys() == b.keys():
        for key in a:
            _pair(f"{name}[{key!r}]", a[key], b[key], pairs)
    elif isinstance(a, (np.ndarray, np.generic)) or isinstance(b, (np.ndarray, np.generic)):
        pairs.append((name, a, b))


def _error(name: str, part: str, a: Any, b: Any, inexact: bool, tolerance: float) -> float:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        raise _disagrees(name, part, f"{a.dtype}{list(a.shape)}", f"{b.dtype}{list(b.shape)}")
    if not a.size:
        return 0.0
    a, b = _wide(a), _wide(b)
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        scale = np.abs(b, where=finite, out=np.zeros(b.shape)).max()
        error = np.abs(a - b) / (np.abs(b) + scale)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        error = np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))
    bad = error > tolerance
    count = int(bad.sum())
    if count and not (inexact and count <= EDGE * a.size):
        first = np.unravel_index(int(bad.argmax()), a.shape)
        where = f"{part}[{','.join(map(str, first))}]"
        raise _disagrees(name, f"{where} and {count - 1} more", repr(a[first]), repr(b[first]))
    return float(error[~bad].max(initial=0.0))


def _wide(x: Any) -> Any:
    if x.dtype.kind == "c":
        return x.astype("complex128")
    # 64-bit integers keep all their digits where long double has them.
    return x.astype("longdouble" if x.dtype.kind in "iu" else "float64")


def _disagrees(name: str, part: str, found: str, accepted: str) -> CompileError:
    return CompileError(
        f"the kernel of op {name!r} disagrees with NumPy in {part}",
        found=found,
        accepted=accepted,
        way_out="It is not used. Please report this; op.eager is the plain function.",
    )
