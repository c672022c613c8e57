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
}


def number(name: str) -> int:
    """The number of a failure in compiled code. KeyError where there is none of this name."""
    return {known: n for n, known in enumerate(FAILURES, 1)}[name]


def error(name: str, op: str) -> Exception:
    """The error to raise for a failure in the op of this name."""
    kind, message = FAILURES[name]
    return kind(message.format(op=op))
