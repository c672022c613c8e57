"""Ufunc calls: dtypes by NumPy's own resolution, broadcasting, ``out=``, ``where=``, ``dtype=``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jitops.graph.graph import Atom, Literal
from jitops.graph.types import same_shape
from jitops.trace.elementwise import COMPARISONS, rule_of
from jitops.trace.functions import room
from jitops.trace.masked import Masked
from jitops.trace.orders import result_strides
from jitops.trace.raising import NeedsStatic, listed, misfit, unsupported
from jitops.trace.recorder import BOOL, FLOAT64, INT64
from jitops.trace.tracer import KNOWN_LIMIT, Tracer
from jitops.trace.weak import INT64_RANGE, Weak, as_atom

Shape = tuple[int, ...]
NUMBERS = (bool, int, float, complex)


def dispatch(
    t: Any, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """``getattr(ufunc, method)(*inputs, **kwargs)`` with tracers among the operands."""
    for x in inputs:
        if type(x) is Masked:
            return NotImplemented  # its own protocol goes on
    if method == "__call__":
        if ufunc.signature is not None:
            return room("generalised").call(t, ufunc, inputs, **kwargs)
        return call(t, ufunc, inputs, **kwargs)
    handler = room("reductions").UFUNC_METHODS.get(method)
    if handler is None:
        raise unsupported(f"np.{ufunc.__name__}.{method} is not supported in a traced function")
    return handler(t, ufunc, *inputs, **kwargs)


def call(
    t: Any,
    ufunc: Any,
    inputs: Sequence[Any],
    *,
    out: Any = None,
    where: Any = True,
    casting: Any = "same_kind",
    order: str = "K",
    dtype: Any = None,
    subok: bool = True,
    signature: Any = None,
    sig: Any = None,
) -> Any:
    """One element-wise call; results are scalars where NumPy's would be."""
    if len(inputs) > ufunc.nin:
        out, inputs = tuple(inputs[ufunc.nin :]), inputs[: ufunc.nin]
    operands = [t.operand(x) for x in inputs]
    outs = _outputs(t, ufunc, out)
    if where is not True:
        where = t.array(where)
    if dtype is None and outs is None and where is True:
        value = eager(t, ufunc, operands)
        if value is not None:
            return value
    return _record(t, ufunc, operands, outs, where, casting, signature or sig, dtype)


def _record(
    t: Any,
    ufunc: Any,
    operands: list[Any],
    outs: Any,
    where: Any,
    casting: Any,
    sig: Any,
    dtype: Any,
) -> Any:
    loop = resolve(ufunc, operands, outs, casting, sig, dtype)
    masks = [] if where is True else [where]
    shape = common_shape(ufunc.__name__, [*operands, *masks])
    if outs is not None:
        shape = _output_shape(ufunc, shape, outs)
    if ufunc.__name__ in COMPARISONS:
        loop = _comparison_loop(ufunc, operands, loop)
        if isinstance(loop, bool):
            return _give(t, [t.broadcast(Literal(loop, BOOL), shape)], shape, outs, where, casting)
    atoms = aligned(t, operands, loop, shape)
    if ufunc is np.power and where is not True and loop[1].kind == "i":  # only there it may fail
        mask = t.broadcast(t.cast(where.read(), BOOL), shape)
        atoms[1] = t.emit("select", mask, t.broadcast(atoms[1], shape), Literal(0, loop[1]))
    rule = rule_of(ufunc)
    if rule is None:
        raise unsupported(
            f"the ufunc {ufunc.__name__} is not supported in a traced function",
            "Compute it outside the op, or write it with supported functions.",
        )
    try:
        results = rule(t, *atoms)
    except NotImplementedError as error:
        raise unsupported(
            f"np.{ufunc.__name__} does not take {error} in a traced function",
            "Split it into real and imaginary parts.",
        ) from None
    results = results if isinstance(results, tuple) else (results,)
    results = [t.cast(r, d) for r, d in zip(results, loop[ufunc.nin :])]
    return _give(t, results, shape, outs, where, casting, operands)


def _give(
    t: Any,
    results: list[Atom],
    shape: Shape,
    outs: Any,
    where: Any,
    casting: Any,
    operands: Sequence[Any] = (),
) -> Any:
    """Wrap the results, or write them to ``out``, where ``where`` holds."""
    given = []
    for i, atom in enumerate(results):
        target = outs[i] if outs is not None else None
        atom = t.broadcast(atom, shape)
        if where is not True:
            mask = t.broadcast(t.cast(where.read(), BOOL), shape)
            if target is None:
                other: Atom = Literal(0, atom.type.dtype)
            else:
                atom, other = t.cast(atom, target.dtype), target.read()
            atom = t.emit("select", mask, atom, other)
        if target is not None:
            target.write(t.cast(atom, target.dtype))
            given.append(target)
        else:
            out = t.wrap(atom, scalar=not shape)
            if len(shape) > 1:
                out.cell.strides = result_strides(shape, out.itemsize, operands)
            given.append(out)
    return given[0] if len(given) == 1 else tuple(given)


def _outputs(t: Any, ufunc: Any, out: Any) -> list[Any] | None:
    if out is None:
        return None
    outs = out if type(out) is tuple else (out,)
    if all(o is None for o in outs):
        return None
    for o in outs:
        if o is Ellipsis:
            raise TypeError("must use `...` as `out=...` and not per-operand/in a tuple")
        if o is not None and type(o) is not Tracer:
            t.refuse_write(o)
    return [*outs, *[None] * (ufunc.nout - len(outs))]


def _output_shape(ufunc: Any, shape: Shape, outs: list[Any]) -> Shape:
    for o in outs:
        if o is not None:
            if not broadcasts(shape, o.shape):
                found, wanted = (str(n).replace(" ", "") for n in (o.shape, shape))
                raise misfit(
                    f"non-broadcastable output operand with shape {found} doesn't match the"
                    f" broadcast shape {wanted}",
                    "an output that the operands broadcast to",
                )
            shape = o.shape
    return shape


def eager(t: Any, ufunc: Any, operands: Sequence[Any]) -> Any:
    """NumPy's own result where all operands are known and small, or None."""
    values = []
    for x in operands:
        kind = type(x)
        if kind is Tracer:
            value = x.known()
            if value is None:
                return None
            values.append(value[()] if x.scalar else value)
        elif kind is Weak:
            return None
        else:
            values.append(x)
    if ufunc.signature is None and any(getattr(v, "size", 1) > 1 for v in values):
        size = 1
        for n in np.broadcast_shapes(*(np.shape(v) for v in values)):
            size *= n
        if size > KNOWN_LIMIT:
            return None
    with np.errstate(all="ignore"):
        return t.wrap_result(ufunc(*values))


def operand_dtype(x: Any) -> Any:
    """What `ufunc.resolve_dtypes` takes for an operand: a dtype, or a Python type for weak ones."""
    if type(x) is Tracer:
        return x.type.dtype
    if type(x) is Weak:
        return x.pytype
    return BOOL if type(x) is bool else type(x)


def resolve(
    ufunc: Any, operands: Sequence[Any], outs: Any, casting: Any, signature: Any, dtype: Any
) -> tuple[np.dtype[Any], ...]:
    """The loop's dtypes, as NumPy resolves them; raises what NumPy raises."""
    kinds = [operand_dtype(x) for x in operands]
    if all(isinstance(k, type) for k in kinds):  # resolve_dtypes wants one dtype at least
        kinds = [WEAK_DEFAULTS[k] for k in kinds]
    ends = [None if o is None else o.dtype for o in outs] if outs is not None else []
    ends += [None] * (ufunc.nout - len(ends))
    if dtype is not None:
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    kwargs: dict[str, Any] = {"casting": casting}
    if signature is not None:
        kwargs["signature"] = signature
    loop = ufunc.resolve_dtypes((*kinds, *ends), **kwargs)
    return tuple(d.newbyteorder("=") if d.byteorder == ">" else d for d in loop)


WEAK_DEFAULTS = {int: INT64, float: FLOAT64, complex: np.dtype("complex128")}


def common_shape(name: str, operands: Sequence[Any]) -> Shape:
    """The broadcast shape, or the error that names the operands."""
    shapes = [x.type.shape for x in operands if type(x) is Tracer and x.type.shape]
    if not shapes:
        return ()
    first = shapes[0]
    if all(same_shape(s, first) for s in shapes):
        return first
    try:
        return broadcast_shapes(*shapes)
    except ValueError:
        types = [x.type if type(x) is Tracer else x for x in operands]
        raise misfit(f"cannot {name} {listed(types)}", "shapes that broadcast") from None


def broadcast_shapes(*shapes: Shape) -> Shape:
    """As NumPy's, for sizes that are not known yet too. ValueError where they do not broadcast."""
    most = max(map(len, shapes), default=0)
    if most <= 32 and all(type(n) is int for shape in shapes for n in shape):  # NumPy's limit there
        return np.broadcast_shapes(*shapes)
    out: list[int] = []
    for back in range(1, most + 1):
        extents = [shape[-back] for shape in shapes if len(shape) >= back and shape[-back] != 1]
        if any(n != extents[0] for n in extents):
            raise ValueError("shapes do not broadcast")
        out.append(extents[0] if extents else 1)
    return tuple(reversed(out))


def broadcasts(shape: Shape, target: Shape) -> bool:
    """Whether an array of the shape may be broadcast to the target."""
    lead = len(target) - len(shape)
    return lead >= 0 and all(n in (1, m) for n, m in zip(shape, target[lead:]))


def _comparison_loop(ufunc: Any, operands: list[Any], loop: Any) -> Any:
    """Comparisons of integers with Python ints are exact: beyond the dtype they have one answer."""
    for i, x in enumerate(operands):
        other = operands[1 - i]
        if type(other) is not Tracer or loop[0].kind not in "iu":
            continue
        if type(x) is int and not fits(x, loop[0]):
            zero = np.zeros((), loop[0])
            return bool(ufunc(x, zero) if i == 0 else ufunc(zero, x))
        if type(x) is Weak and loop[0] != np.dtype("uint64"):
            return (INT64, INT64, loop[2])
    return loop


def fits(number: int, dtype: np.dtype[Any]) -> bool:
    """Whether the int is a value of the integer dtype."""
    info = np.iinfo(dtype)
    return bool(info.min <= number <= info.max)


def aligned(t: Any, operands: Sequence[Any], loop: Sequence[Any], shape: Shape) -> list[Atom]:
    """The operands as atoms of the loop's dtypes and of this shape, or of shape ()."""
    atoms = []
    for x, dtype in zip(operands, loop):
        if type(x) is Tracer:
            atom = t.cast(_uniform(x) or x.read(), dtype)
        else:
            atom = number_atom(t, x, dtype)
        if atom.type.shape and not same_shape(atom.type.shape, shape):
            atom = t.broadcast(atom, shape)
        atoms.append(atom)
    return atoms


def _uniform(x: Tracer) -> Atom | None:
    """A literal for a known array whose elements are all alike."""
    value = x.known()
    if value is None or not value.size:
        return None
    if value.size > 1 and value.tobytes() != value.flat[0].tobytes() * value.size:
        return None
    return Literal(value.flat[0], value.dtype)


def number_atom(t: Any, x: Any, dtype: np.dtype[Any]) -> Atom:
    """A Python number, static or runtime, as an atom of the dtype it meets (NEP 50)."""
    if type(x) is not Weak:
        if dtype.kind in "iu" and type(x) is int and not fits(x, dtype):
            raise OverflowError(f"Python integer {x} out of bounds for {dtype.name}")
        with np.errstate(all="ignore"):
            return Literal(np.asarray(x).astype(dtype)[()], dtype)
    if x.pytype is int and dtype.kind in "iu":
        within(t, x, int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if x.pytype is int and dtype.kind in "fcV":
        return t.cast(as_atom(t, x, float), dtype)  # type: ignore[no-any-return]
    return t.cast(x.atom, dtype)  # type: ignore[no-any-return]


def cast_atom(t: Any, x: Any, dtype: np.dtype[Any]) -> Atom:
    """As `number_atom`, but a Python int that does not fit wraps around, as in an assignment."""
    if type(x) is int and dtype.kind in "iu":
        return Literal(np.asarray(x).astype(dtype)[()], dtype)
    return t.atom(x, dtype)  # type: ignore[no-any-return]


def within(t: Any, x: Weak, low: int, high: int) -> None:
    """Require a runtime int to lie in a range: narrow the argument, or make it static."""
    high = min(high, INT64_RANGE[1])
    low = max(low, INT64_RANGE[0])
    if x.interval[0] >= low and x.interval[1] <= high:
        return
    if not t.limit(x.atom, low, high):
        raise NeedsStatic(x.leaves)
