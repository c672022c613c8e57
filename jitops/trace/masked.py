"""``x[mask]`` with a traced mask: its size depends on values, so it lives at full shape.

What NumPy programs do with such selections keeps its meaning there: elementwise work, reductions
to a scalar, and assignment through the same mask. Everything that needs the shape is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.trace.raising import unsupported
from jitops.trace.recorder import BOOL
from jitops.trace.tracer import COMPARISONS, OPERATORS, UNARY, Tracer

WAY_OUT = "Use np.where(mask, x, other), a reduction with where=mask, or x[mask] = value."
REDUCTIONS = ("sum", "prod", "mean", "var", "std", "any", "all", "count_nonzero")


class Masked:
    """The elements of an array where a mask holds: `atom` at full shape, and the mask's atom.

    The mask's axes are the first ones; moved: the user's were not, so that nothing may broadcast
    to it.
    """

    __slots__ = ("_mask", "atom", "mask_atom", "moved", "session", "trailing")

    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 2000.0

    def __init__(
        self,
        trace: Any,
        x: Tracer,
        mask: Any,
        mask_atom: Atom | None = None,
        moved: bool = False,
    ) -> None:
        self.session = trace
        self.moved = moved
        self.atom = x.read()
        self._mask = mask
        self.mask_atom = trace.cast(mask.read(), BOOL) if mask_atom is None else mask_atom
        self.trailing = x.ndim - mask.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.atom.type.dtype

    def full(self) -> Tracer:
        """All elements, selected or not."""
        return self.session.wrap(self.atom)  # type: ignore[no-any-return]

    def mask(self) -> Tracer:
        """The mask, at the shape of the elements."""
        shape = self.atom.type.shape
        axes = tuple(range(len(self.mask_atom.type.shape)))
        atom = self.mask_atom
        if self.trailing:
            atom = self.session.emit("broadcast", atom, shape=shape, axes=axes)
        return self.session.wrap(atom)  # type: ignore[no-any-return]

    def _same(self, x: Tracer) -> Masked:
        return Masked(self.session, x, self._mask, self.mask_atom, self.moved)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get("out")
        if out is not None and not all(type(o) is Masked for o in out):
            raise self._refusal(f"np.{ufunc.__name__} into another array")
        if method == "reduce" and ufunc.nin == 2:
            return self._reduced(ufunc, kwargs)
        if method != "__call__" or ufunc.signature is not None:
            raise self._refusal(f"np.{ufunc.__name__}.{method}")
        operands = [self._operand(ufunc, x) for x in inputs]
        kwargs.pop("out", None)
        result = ufunc(*operands, **kwargs)
        if out is not None:
            out[0].atom = self.session.cast(result.read(), out[0].dtype)
            return out[0]
        return self._same(result)

    def _updated(self, ufunc: Any, other: Any) -> Masked:
        """``x[mask] += other``: the result must fit the array, as in NumPy."""
        result = ufunc(self.full(), self._operand(ufunc, other))
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc {ufunc.__name__!r} output from {result.dtype!r} to"
                f" {self.dtype!r} with casting rule 'same_kind'"
            )
        return self._same(result.astype(self.dtype))

    def _operand(self, ufunc: Any, x: Any) -> Any:
        if type(x) is Masked:
            if x.mask_atom is not self.mask_atom:
                raise self._refusal(f"np.{ufunc.__name__} of selections by different masks")
            return x.full()
        if getattr(x, "ndim", 0) > (0 if self.moved else self.trailing) or isinstance(
            x, (list, tuple)
        ):
            raise self._refusal(f"np.{ufunc.__name__} with an array of fixed shape")
        return x

    def _reduced(self, ufunc: Any, kwargs: Any) -> Any:
        if (
            self.trailing
            or self.moved
            or kwargs.get("axis", 0) not in (0, None)
            or kwargs.get("keepdims")
        ):
            raise self._refusal(f"np.{ufunc.__name__}.reduce")
        initial = {}
        if ufunc in (np.maximum, np.minimum):
            initial["initial"] = _worst(self.dtype, ufunc is np.maximum)
        return ufunc.reduce(self.full(), axis=None, where=self.mask(), **initial)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = func.__name__
        if args and args[0] is self and not self.trailing and len(args) == 1:
            if name in REDUCTIONS:
                return self._reduction(name, kwargs)
            if name in ("max", "min", "amax", "amin"):
                return self._reduced(np.maximum if "max" in name else np.minimum, kwargs)
            if name in ("size", "shape", "sort"):
                raise self._refusal(f"np.{name}")
        raise self._refusal(f"np.{name}")

    def _reduction(self, name: str, kwargs: Any) -> Any:
        if name == "count_nonzero":
            return np.sum(self.full().astype(bool), where=self.mask())
        if kwargs.get("axis") not in (None, 0):
            raise self._refusal(f"np.{name} along an axis")
        kwargs.pop("axis", None)
        return getattr(np, name)(self.full(), where=self.mask(), **kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._refusal("np.asarray")

    def _refusal(self, what: str) -> Exception:
        return unsupported(
            f"{what} of x[mask] is not possible in a traced function: its shape depends on values",
            WAY_OUT,
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in (*REDUCTIONS, "max", "min"):
            func = getattr(np, name)
            return lambda **kwargs: self.__array_function__(func, (), (self,), kwargs)
        if name == "astype":
            return lambda dtype, **_: self._same(self.full().astype(dtype))
        raise self._refusal(f".{name}")

    def __len__(self) -> int:
        raise self._refusal("len()")

    def __getitem__(self, key: Any) -> Any:
        raise self._refusal("indexing")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise self._refusal("assigning to")

    def __bool__(self) -> bool:
        raise self._refusal("bool()")

    def __iter__(self) -> Any:
        raise self._refusal("iteration")

    def __index__(self) -> int:
        raise self._refusal("an index")

    def __repr__(self) -> str:
        return f"traced selection of {self.atom.type}"


class Unknown:
    """One of several results, whose shape depends on values: it may be ignored, and no more."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def refuse(self, *_: Any, **__: Any) -> Any:
        """Raise, naming the result."""
        raise unsupported(
            f"{self._what} cannot be used in a traced function: its shape depends on values",
            "Use the other results, or compute it outside the op.",
        )

    __getattr__ = __getitem__ = __iter__ = __len__ = __array__ = __bool__ = __index__ = refuse
    __array_ufunc__ = __array_function__ = refuse


def _worst(dtype: np.dtype[Any], maximum: bool) -> Any:
    if dtype.kind == "b":
        return not maximum
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min if maximum else info.max
    return -np.inf if maximum else np.inf


def _install(cls: Any) -> None:
    for name, ufunc in OPERATORS.items():
        setattr(cls, f"__{name}__", lambda self, other, ufunc=ufunc: ufunc(self, other))
        setattr(cls, f"__r{name}__", lambda self, other, ufunc=ufunc: ufunc(other, self))
        setattr(cls, f"__i{name}__", lambda self, other, ufunc=ufunc: self._updated(ufunc, other))
    for name, (ufunc, _) in COMPARISONS.items():
        setattr(cls, f"__{name}__", lambda self, other, ufunc=ufunc: ufunc(self, other))
    for name, ufunc in UNARY.items():
        setattr(cls, f"__{name}__", lambda self, ufunc=ufunc: ufunc(self))
    cls.__pow__ = lambda self, other: self._same(self.full() ** self._operand(np.power, other))
    cls.__rpow__ = lambda self, other: np.power(other, self)


_install(Masked)
for _name in ("add", "sub", "mul", "truediv", "matmul", "pow"):
    setattr(Unknown, f"__{_name}__", Unknown.refuse)
    setattr(Unknown, f"__r{_name}__", Unknown.refuse)
