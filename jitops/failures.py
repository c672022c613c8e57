"""What a kernel can find wrong with values: the errors that NumPy raises for them, by name.

A ``check`` names its failure. Compiled code leaves a failure's number (from 1, in the order of the
table; 0: none) where the caller finds it, and the caller raises.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError

__all__ = ["FAILURES", "INDEX", "error", "number"]

INDEX = "index"

FAILURES: dict[str, tuple[type[Exception], str]] = {
    # name: exception, message; {op} is the op's name
    INDEX: (IndexError, "an index is out of bounds in op '{op}'"),
    "negative power": (ValueError, "Integers to negative integer powers are not allowed."),
    "nothing to insert": (ValueError, "Cannot insert from an empty array!"),
    "choice": (ValueError, "invalid entry in choice array"),
    "all NaN": (ValueError, "All-NaN slice encountered"),
    "quantile": (ValueError, "Quantiles must be in the range [0, 1]"),
    "percentile": (ValueError, "Percentiles must be in the range [0, 100]"),
    "negative weights": (ValueError, "Weights must be non-negative."),
    "useless weights": (ValueError, "Weights included NaN, inf or were all zero."),
    "fractional fweights": (TypeError, "fweights must be integer"),
    "negative fweights": (ValueError, "fweights cannot be negative"),
    "negative aweights": (ValueError, "aweights cannot be negative"),
    "math domain": (ValueError, "math domain error"),
    "math range": (OverflowError, "math range error"),
    "NaN as int": (ValueError, "cannot convert float NaN to integer"),
    "infinity as int": (OverflowError, "cannot convert float infinity to integer"),
    "wide int": (OverflowError, "a Python int of op '{op}' does not fit in 64 bits"),
    "singular": (LinAlgError, "Singular matrix"),
    "indefinite": (LinAlgError, "Matrix is not positive definite"),
    "divergent eigenvalues": (LinAlgError, "Eigenvalues did not converge"),
    "divergent SVD": (LinAlgError, "SVD did not converge"),
    "useless sum of weights": (ZeroDivisionError, "Weights sum to zero, can't be normalized"),
    "falling bins": (ValueError, "`bins` must increase monotonically, when an array"),
    "crossed range": (ValueError, "max must be larger than min in range parameter."),
    "endless range": (ValueError, "supplied range is not finite"),
    "endless data": (ValueError, "autodetected range is not finite"),
    "too many bins": (
        ValueError,
        "Too many bins for data range. Cannot create that many finite-sized bins.",
    ),
    "unordered bins": (ValueError, "bins must be monotonically increasing or decreasing"),
    "wide table": (
        RuntimeError,
        "You have specified kind='table', but the range of values in `ar2` or `ar1` exceed the"
        " maximum integer of the datatype. Please set `kind` to None or 'sort'.",
    ),
    "miscounted mask": (ValueError, "a mask selects another number of elements than are assigned"),
}


def number(name: str) -> int:
    """The number of a failure in compiled code. KeyError where there is none of this name."""
    return {known: n for n, known in enumerate(FAILURES, 1)}[name]


def error(name: str, op: str) -> Exception:
    """The error to raise for a failure in the op of this name."""
    kind, message = FAILURES[name]
    return kind(message.format(op=op))
