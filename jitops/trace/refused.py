"""What is not traced, by name, with the reason and the way out; and what needs no tracing."""

from __future__ import annotations

__all__ = ["METHODS", "REFUSED", "STATIC", "hint"]

_SHAPE = "The result's shape depends on values: "
_FILES = "Read and write files outside of the op."
_TEXT = "Text is made of values, which an op has only while it runs: do this outside of it."
_DATES = "Dates are not compiled: do this outside of the op."
_OBJECTS = "It is made for Python objects: use arrays in the op, or do this outside of it."
_OUTSIDE = "Compute it outside the op and pass the result as an argument."

# reason and way out -> functions
_REFUSED: dict[str, str] = {
    _SHAPE + "use np.where(mask, x, other), or a reduction with where=mask.": """
        nonzero flatnonzero argwhere
    """,
    _SHAPE + "compute it outside the op.": """
        unique unique_all unique_counts unique_inverse unique_values union1d intersect1d setdiff1d
        setxor1d trim_zeros polydiv roots
    """,
    _SHAPE + "leading zeros vanish; np.convolve(a, b) keeps them.": "polymul",
    "The result's dtype depends on values: use x.real where the imaginary part is 0.": """
        real_if_close
    """,
    _OUTSIDE: "from_dlpack",
    _FILES: """
        fromfile fromregex genfromtxt load loadtxt save savetxt savez savez_compressed
        frombuffer
    """,
    _TEXT: """
        array2string array_repr array_str fromstring format_float_positional
        format_float_scientific base_repr binary_repr typename
    """,
    _DATES: """
        busday_count busday_offset is_busday datetime_as_string datetime_data isnat
    """,
    _OBJECTS: """
        asmatrix bmat frompyfunc nditer nested_iters
    """,
}

REFUSED: dict[str, str] = {
    name: reason for reason, names in _REFUSED.items() for name in names.split()
}

# What takes shapes, dtypes and Python numbers only: it runs while tracing, as it is.
_STATIC = """
    broadcast_shapes diag_indices fromfunction get_include getbufsize geterr geterrcall
    get_printoptions info isdtype isfortran isscalar issubdtype iterable mask_indices mintypecode
    printoptions promote_types set_printoptions setbufsize seterr seterrcall show_config
    show_runtime tril_indices triu_indices
"""
STATIC: frozenset[str] = frozenset(_STATIC.split())

# ndarray's methods and attributes that tracers do not have.
METHODS: dict[str, str] = {
    "base": "Views are resolved while tracing: compare arrays with np.shares_memory.",
    "byteswap": _OUTSIDE,
    "ctypes": "There is no memory yet: pass the result of the op.",
    "data": "There is no memory yet: pass the result of the op.",
    "dump": _FILES,
    "dumps": _FILES,
    "getfield": "Use x.view(dtype), or x.real and x.imag.",
    "setfield": "Use x.view(dtype), or x.real and x.imag.",
    "resize": "Use np.pad, np.tile or a slice: shapes are fixed in the op.",
    "to_device": "Move the result of the op.",
    "tobytes": "Do this outside of the op.",
    "tofile": _FILES,
}


def hint(name: str) -> str:
    """What to do instead of calling a function."""
    return REFUSED.get(name, _OUTSIDE)
