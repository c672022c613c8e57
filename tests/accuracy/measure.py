"""Math functions compiled alone, and their errors in units in the last place."""

from __future__ import annotations

import ctypes
import functools
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import tvm
from tvm import ir, tirx
from tvm.tirx import stmt as st

from jitops._native import Library, detect_cpu
from jitops.codegen.compile import compile_module
from jitops.codegen.link import link
from jitops.codegen.target import tvm_target
from jitops.lower.elementwise import lower_map
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, int64, loop_variable
from jitops.lower.math import MATH, ORDINARY
from jitops.schedule.loops import for_loop
from jitops.schedule.ordinary import PIECE, in_two_forms

BINARY = ("atan2", "pow", "hypot", "fmod")
NUMPY = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "pow": "power",
}
NAMES = tuple(dict.fromkeys(name for name, _ in MATH))


class Report(ctypes.Structure):
    """The worst error and where; how many results are of another kind, and the first of them."""

    _fields_ = (
        ("worst", ctypes.c_double),
        ("at", ctypes.c_double),
        ("at2", ctypes.c_double),
        ("wrong", ctypes.c_int64),
        ("wrong_at", ctypes.c_double),
        ("wrong_at2", ctypes.c_double),
        ("wrong_got", ctypes.c_double),
    )

    def __str__(self) -> str:
        text = f"max {self.worst:.4f} ULP at {self.at!r}, {self.at2!r}"
        if self.wrong:
            where = f"{self.wrong_at!r}, {self.wrong_at2!r}"
            text += f"; {self.wrong} wrong, as {self.wrong_got!r} at {where}"
        return text


@functools.cache
def reference() -> Any:
    """reference.c as a library, or None where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "reference.so")
        source = Path(__file__).with_name("reference.c")
        command = [compiler, "-O2", "-std=gnu11", "-shared", "-fPIC", source, "-o", built, "-lm"]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(str(built))
    pointer, word = ctypes.c_void_p, ctypes.c_uint32
    library.check_bits.argtypes = (pointer, ctypes.c_char_p, word, ctypes.c_int64, word, pointer)
    return library


class Kernel:
    """One math function in a loop over contiguous arrays of one dtype.

    general: without its form for ordinary arguments, if it has one.
    """

    def __init__(self, name: str, dtype: str, general: bool = False) -> None:
        self.name, self.dtype = name, dtype
        self.library = Library(link(compile_module(_module(name, dtype, general), _target())))
        self.address = self.library.symbol("kernel")
        self.call = ctypes.CFUNCTYPE(
            ctypes.c_int32, *[ctypes.c_void_p] * (arity(name) + 1), ctypes.c_int64
        )(self.address)

    def __call__(self, *arrays: Any, out: Any = None) -> Any:
        out = np.empty_like(arrays[0]) if out is None else out
        self.call(*(a.ctypes.data for a in arrays), out.ctypes.data, out.size)
        return out


@functools.cache
def kernel(name: str, dtype: str, general: bool = False) -> Kernel:
    return Kernel(name, dtype, general)


def arity(name: str) -> int:
    return 2 if name in BINARY else 1


@functools.cache
def _target() -> Any:
    return tvm_target(detect_cpu())


def _value(name: str, dtype: str, buffers: Any, place: Affine, body: Scope) -> Any:
    inputs = [body.let(tirx.BufferLoad(b, [place.expr()])) for b in buffers[:-1]]
    return lower_map(body, name, dtype, dtype, inputs, {})


def _element(name: str, dtype: str, buffers: Any, place: Affine, body: Scope) -> None:
    value = _value(name, dtype, buffers, place, body)
    body.emit(st.BufferStore(buffers[-1], value, [place.expr()]))


def _in_pieces(name: str, dtype: str, buffers: Any, count: Any) -> Any:
    """The loop as the scheduler builds it for functions with a form for ordinary arguments."""
    piece, body = loop_variable("p", 1 << 40), Scope()
    start = Affine.of(piece) * PIECE
    left = body.let(tirx.Min(int64(PIECE), count - start.expr()), "at")
    in_two_forms(
        lambda j, inner: _value(name, dtype, buffers, start + j, inner),
        lambda j, inner: _element(name, dtype, buffers, start + j, inner),
        PIECE,
        left,
        body,
    )
    return for_loop(piece.expr, tirx.Div(count + int64(PIECE - 1), int64(PIECE)), body)


def _module(name: str, dtype: str, general: bool) -> Any:
    count = tirx.Var("count", "int64")
    pointers = [
        tirx.Var(f"p{k}", ir.PointerType(ir.PrimType(dtype))) for k in range(arity(name) + 1)
    ]
    size = np.dtype(dtype).itemsize
    buffers = [
        tirx.decl_buffer((1 << 40,), dtype, p.name, data=p, data_alignment=size) for p in pointers
    ]
    if (name, dtype) in ORDINARY and not general:
        loop = _in_pieces(name, dtype, buffers, count)
    else:
        body = Scope()
        place = loop_variable("i", 1 << 40)
        _element(name, dtype, buffers, Affine.of(place), body)
        loop = for_loop(place.expr, count, body)
    declared = [st.DeclBuffer(b, data=p) for b, p in zip(buffers, pointers, strict=True)]
    attrs = {
        "target": _target(),
        "calling_conv": 1,
        "global_symbol": "kernel",
        "tirx.noalias": True,
    }
    function = tirx.PrimFunc(
        [*pointers, count],
        st.SeqStmt([*declared, loop, st.Return(tirx.IntImm("int32", 0))]),
        ir.PrimType("int32"),
        ir.make_node("ir.DictAttrs", **attrs),
    )
    return tvm.IRModule({ir.GlobalVar("kernel"): function})


def float32_bits(name: str, stride: int, address: int | None) -> Report:
    """Every ``stride``-th float32 through the kernel at ``address``.

    Or through the C library if None.
    """
    report = Report()
    count = 2**32 // stride
    assert not reference().check_bits(
        address, name.encode(), 0, count, stride, ctypes.addressof(report)
    )
    return report


def float32_arrays(name: str, arrays: tuple[Any, ...], got: Any | None) -> Report:
    """Given results, or the C library's own if None, for given float32 arguments."""
    report = Report()
    check = reference().check_unary if len(arrays) == 1 else reference().check_binary
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    results = ctypes.c_void_p(got.ctypes.data if got is not None else None)
    size = ctypes.c_int64(arrays[0].size)
    assert not check(name.encode(), *pointers, results, size, ctypes.byref(report))
    return report


def library_float64(name: str, arrays: tuple[Any, ...]) -> Any:
    """The C library's float64 results."""
    out = np.empty_like(arrays[0])
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (arrays[0], arrays[-1], out)]
    assert not reference().library_float64(name.encode(), *pointers, ctypes.c_int64(out.size))
    return out


def _mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


EXACT: dict[str, Callable[..., Any]] = {
    **{name: getattr(mpmath, name) for name in NAMES if hasattr(mpmath, name)},
    "exp2": lambda x: mpmath.power(2, x),
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "pow": mpmath.power,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "sigmoid": _mp_sigmoid,
    "fmod": lambda x, y: mpmath.mpf(math.fmod(x, y)),
    "lgamma": lambda x: mpmath.re(mpmath.loggamma(x)),
    "erfc": lambda x: mpmath.erfc(max(min(x, 100), -100)),  # mpmath overflows far out
}


CANCELLING = frozenset(["log1p", "expm1", "atanh", "asinh", "acosh", "tanh", "sinh", "lgamma"])


def exact(name: str, *args: float) -> Any:
    """The value to well over 100 bits, for finite arguments inside the domain."""
    # 1 - x and x - 1 cancel in some: mpmath evaluates them by their formulas.
    with mpmath.workprec(200), mpmath.extraprec(1200 if name in CANCELLING else 0):
        return +EXACT[name](*(mpmath.mpf(a) for a in args))


def float64_error(got: float, want: Any) -> float:
    """The distance of ``got`` from ``want`` in units in the last place of ``want``.

    Inf for another kind.
    """
    with mpmath.workprec(200):
        if math.isnan(got) or (got and want and (got < 0) != (want < 0)):
            return math.inf
        overflow = mpmath.mpf(2) ** 1024
        size = min(abs(want), overflow)
        near = overflow if math.isinf(got) else abs(mpmath.mpf(got))
        exponent = min(int(mpmath.frexp(size)[1]), 1024)
        return float(abs(near - size) / mpmath.mpf(2) ** max(exponent - 53, -1074))
