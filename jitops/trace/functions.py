"""The table of NumPy's functions, and their dispatch: `__array_function__` of the tracers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.masked import Masked
from jitops.trace.raising import unsupported
from jitops.trace.tracer import KNOWN_LIMIT, Tracer
from jitops.trace.weak import Weak

__all__ = ["ROOMS", "dispatch", "find", "room", "rule_of"]

Rule = Callable[..., Any]

# Which module has the rules of which functions; it is imported when the first one is called,
# because a new process that finds its op in the cache must not wait for rules it does not use.
ROOMS = {
    "reductions": """
        sum prod max amax min amin any all argmax argmin cumsum cumprod count_nonzero ptp
    """,
    "statistics": """
        mean var std average nansum nanprod nancumsum nancumprod nanmean nanvar nanstd nanmax
        nanmin nanargmax nanargmin
    """,
    "manipulation": """
        reshape ravel transpose matrix_transpose linalg.matrix_transpose swapaxes moveaxis
        rollaxis squeeze expand_dims broadcast_to broadcast_arrays diagonal linalg.diagonal diag
        flip fliplr flipud rot90 atleast_1d atleast_2d atleast_3d real imag copy take repeat tile
        roll tril triu
    """,
    "joining": """
        concatenate stack vstack row_stack hstack dstack column_stack array_split split vsplit
        hsplit dsplit unstack
    """,
    "composed": """
        copyto fill_diagonal where clip round around select choose
        convolve correlate nan_to_num piecewise meshgrid kron block cross linalg.cross compress
    """,
    "padding": """
        pad
    """,
    "comparing": """
        isclose allclose array_equal array_equiv
    """,
    "ordering": """
        sort argsort partition argpartition lexsort sort_complex searchsorted digitize isin
    """,
    "scattering": """
        put place putmask bincount ravel_multi_index unravel_index
    """,
    "quantiles": """
        median nanmedian quantile nanquantile percentile nanpercentile
    """,
    "histograms": """
        histogram histogram_bin_edges histogramdd histogram2d interp
    """,
    "linalg": """
        dot vdot inner outer linalg.outer tensordot linalg.tensordot linalg.matmul linalg.vecdot
        linalg.trace trace einsum
    """,
    "chains": """
        linalg.multi_dot linalg.matrix_power
    """,
    "numpys": """
        sinc angle diff ediff1d trapezoid trapz unwrap vander polyval polyadd
        polysub polyder polyint fix isposinf isneginf iscomplex isreal append
        apply_along_axis apply_over_axes linalg.norm linalg.vector_norm linalg.matrix_norm i0
        resize take_along_axis put_along_axis extract cumulative_sum cumulative_prod
        tril_indices_from triu_indices_from diag_indices_from diagflat ix_ shape ndim size
        iscomplexobj isrealobj result_type can_cast common_type min_scalar_type may_share_memory
        shares_memory linalg.tensorinv linalg.tensorsolve fft.fftshift fft.ifftshift
    """,
    "matrices": """
        linalg.inv linalg.solve linalg.det linalg.slogdet linalg.cholesky linalg.qr linalg.eigh
        linalg.eigvalsh linalg.svd linalg.svdvals
    """,
    "spectral": """
        linalg.pinv linalg.lstsq linalg.cond linalg.matrix_rank
    """,
    "hosted": """
        linalg.eig linalg.eigvals polyfit
    """,
    "fourier": """
        fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.ifft2 fft.rfft2
        fft.irfft2 fft.fftn fft.ifftn fft.rfftn fft.irfftn
    """,
    "conversions": """
        packbits unpackbits astype einsum_path poly
    """,
    "edits": """
        delete insert lib.stride_tricks.sliding_window_view gradient cov corrcoef
    """,
    "creation": """
        zeros_like ones_like empty_like full_like linspace logspace geomspace
    """,
}

HOME: dict[str, str] = {name: module for module, names in ROOMS.items() for name in names.split()}


def room(name: str) -> Any:
    """A module of rules."""
    return importlib.import_module(f"jitops.trace.{name}")


def find(name: str) -> Any:
    """The NumPy function of a dotted name, or None where this NumPy has none."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def name_of(func: Any) -> str:
    """The name of a NumPy function, as in ``sum`` and ``linalg.norm``."""
    package, _, module = (getattr(func, "__module__", None) or "numpy").partition(".")
    name: str = func.__name__
    if package != "numpy":
        return f"{package}.{module}.{name}"
    return f"{module}.{name}" if module else name


def rule_of(name: str) -> tuple[Rule | None, bool]:
    """The rule of a function, and whether it gives views or writes (and so is never folded)."""
    home = HOME.get(name)
    if home is None:
        return None, False
    module = room(home)
    for table in ("VIEWS", "MUTATING"):
        rule = getattr(module, table, {}).get(name)
        if rule is not None:
            return rule, True
    return module.TABLE[name], False


def dispatch(t: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)`` with a tracer among the arguments."""
    name = name_of(func)
    rule, live = rule_of(name)
    if live and rule is not None:
        return rule(t, *args, **kwargs)
    if any(type(a) is Masked for a in args):
        return NotImplemented
    if kwargs.get("out") is None:
        values = _known((args, kwargs))
        if values is not None:
            with np.errstate(all="ignore"):
                return t.wrap_result(func(*values[0], **values[1]))
    if rule is None:
        raise _unsupported(name)
    return rule(t, *args, **kwargs)


def _unsupported(name: str) -> Exception:
    hint: str = room("refused").hint(name)
    return unsupported(f"np.{name} is not supported in a traced function", hint)


class _UnknownError(Exception):
    """An argument is not known while tracing."""


def _known(arguments: Any) -> Any:
    """The arguments with the known values of the tracers, or None where one is unknown or large."""
    try:
        return _values(arguments)
    except _UnknownError:
        return None


def _values(x: Any) -> Any:
    kind = type(x)
    if kind is Tracer:
        value = x.known()
        if value is None or value.size > KNOWN_LIMIT:
            raise _UnknownError
        return value[()] if x.scalar else value
    if kind is Weak or isinstance(x, np.ndarray):
        raise _UnknownError
    if kind is tuple or kind is list:
        return kind(map(_values, x))
    if kind is dict:
        return {k: _values(v) for k, v in x.items()}
    return x
