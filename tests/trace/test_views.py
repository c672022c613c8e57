"""What is a view in NumPy is written through, what is a copy is not; orders of reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from against_numpy import check

import jitops
from jitops.errors import UnsupportedError

X = np.arange(1.0, 13.0).reshape(3, 4)

# Some of these give views, some give copies: NumPy says which.
WAYS: dict[str, Any] = {
    "reshape": lambda x: x.reshape(2, 6),
    "reshape F": lambda x: x.reshape(4, 3, order="F"),
    "reshape T": lambda x: x.T.reshape(-1),
    "ravel": np.ravel,
    "ravel F": lambda x: x.ravel("F"),
    "ravel K": lambda x: x.T.ravel("K"),
    "flatten": lambda x: x.flatten(),
    "transposed": lambda x: np.swapaxes(np.moveaxis(x, 0, 1), 0, 1).T,
    "split": lambda x: np.hsplit(np.array_split(x, 2)[0], 2)[1],
    "iterated": lambda x: list(x)[1],
    "units": lambda x: np.squeeze(np.expand_dims(np.atleast_3d(x), 0)),
    "flipped": lambda x: np.rot90(np.flip(x, 0)),
    "sliced": lambda x: x[1:].T[::2].reshape(-1, 1),
    "gathered": lambda x: x[[0, 1]],
    "taken": lambda x: np.take(x, [0], 0),
    "real": lambda x: np.real(x),
    "conj": lambda x: x.conj(),
    "np.conj": np.conj,
    "asarray": lambda x: np.asarray(x),
    "asarray of a dtype": lambda x: np.asarray(x, "f4"),
    "asarray F": lambda x: np.asarray(x, order="F"),
    "asfortranarray": lambda x: np.asfortranarray(x),
    "asfortranarray of T": lambda x: np.asfortranarray(x.T),
    "ascontiguousarray": lambda x: np.ascontiguousarray(x),
    "ascontiguousarray of T": lambda x: np.ascontiguousarray(x.T),
    "require": lambda x: np.require(x, "f8", ["C", "W"]),
    "require F": lambda x: np.require(x, requirements="F"),
    "array": lambda x: np.array(x),
    "astype": lambda x: x.astype(float),
    "astype without a copy": lambda x: x.astype(float, copy=False),
    "nan_to_num": lambda x: np.nan_to_num(x, copy=False),
    "einsum": lambda x: np.einsum("ij->ji", x),
    "einsum of a diagonal": lambda x: np.einsum("ii->i", x[:, 1:]),
    "einsum of diagonals": lambda x: np.einsum("iij->ji", x.reshape(2, 2, 3)),
    "einsum of a sum": lambda x: np.einsum("ij->i", x),
    "the same": lambda x: x.view(),
    "integers": lambda x: x.view(np.int64),
    "bytes": lambda x: x.view(np.uint8),
    "floats": lambda x: x.view("f4")[:, 1::2],
    "pairs": lambda x: x.view(complex),
    "diagonal": lambda x: x.diagonal(),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
    "broadcast": lambda x: np.broadcast_to(x, (2, 3, 4)),
}


@pytest.mark.parametrize("name", WAYS)
def test_writes_reach_what_they_reach_in_numpy(name):
    def fn(x):
        part = WAYS[name](x)
        part[...] = 7
        return part, x

    _same_or_refused(fn, X)
    _same_or_refused(lambda x: fn(x + 1), X)
    _same_or_refused(fn, np.asfortranarray(X))


def _same_or_refused(fn: Any, x: Any) -> None:
    """The result and what became of the argument, or the error for a view that is read-only."""
    try:
        fn(x.copy("K"))
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)[:40]):
            jitops.jitop(fn, strict=True)(x.copy("K"))
    else:
        check(fn, x)


def test_the_inverse_square_root_by_its_bits():
    def fn(x):
        y = x.copy()
        bits = y.view(np.int32)
        bits[...] = 0x5F3759DF - (bits >> 1)
        return y * (1.5 - 0.5 * x * y * y)

    check(fn, np.array([1.0, 4.0, 9.0], np.float32))


DTYPES = ("int8", "uint16", "float16", "int32", "float32", "uint64", "float64", "complex64")


@pytest.mark.parametrize("dtype", [*DTYPES, "complex128"])
def test_bytes_under_another_dtype(dtype):
    x = np.arange(1, 33).reshape(2, 16).astype("uint8").view(dtype)

    def fn(x):
        parts = [x.view(other) for other in DTYPES]
        wide = x[:1].view("complex128")
        y = x.copy()
        y.view("uint8")[:, ::3] += 1
        return *parts, wide, y, x[:, :0].view("uint8"), x.view("uint8")[:, :4]

    check(fn, x)
    np.testing.assert_array_equal(
        jitops.jitop(fn, strict=True)(x)[-3].view("uint8"), fn(x)[-3].view("uint8")
    )


def test_bytes_that_have_no_view():
    for fn, x in (
        (lambda x: x.view("uint8"), np.ones((2, 3)).T),
        (lambda x: x.view("complex128"), np.ones(3)),
        (lambda x: x.reshape(()).view("uint8"), np.ones(1)),
    ):
        with pytest.raises(ValueError, match=r"dtype|axis") as wanted:
            fn(x)
        with pytest.raises(ValueError, match=str(wanted.value)[:40]):
            jitops.jitop(fn, strict=True)(x)
    windows = np.lib.stride_tricks.sliding_window_view
    with pytest.raises(UnsupportedError, match="writeable=True"):
        jitops.jitop(lambda x: windows(x, 2, writeable=True), strict=True)(np.ones(3))


CUBE = np.arange(24.0).reshape(2, 3, 4)
LAYOUTS = {
    "C": CUBE,
    "F": np.asfortranarray(CUBE),
    "transposed": CUBE.transpose(1, 0, 2),
    "sliced": CUBE.transpose(2, 0, 1)[::2],
    "reversed": CUBE[:, ::-1],
    "reversed T": CUBE.T[::-1],
    "repeated": np.broadcast_to(CUBE[:, :1], (2, 3, 4)),
    "repeated first": np.broadcast_to(CUBE[0], (2, 3, 4)),
    "of unit axes": CUBE[:1].T,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_elements_are_read_in_the_order_asked_for(layout):
    def fn(x):
        lines = [x.ravel(order) for order in "CFAK"] + [x.flatten(order) for order in "CFAK"]
        fresh = [x + 0, x.T + 0, x.copy("K"), x.copy("F"), np.copy(x), np.array(x, order="F")]
        fresh += [np.asfortranarray(x), x.astype("f4"), x.astype("f4", order="C")]
        return *lines, *(a.ravel("K") for a in fresh), np.reshape(x, (-1, 3), order="A")

    found = jitops.jitop(fn, strict=True)(LAYOUTS[layout])
    for a, b in zip(found, fn(LAYOUTS[layout]), strict=True):
        np.testing.assert_array_equal(a, b)
