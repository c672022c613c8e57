"""A known signature runs without Python, any other asks `miss`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bindings import Misses, array, f32, scalar

from jitops import _native


def test_a_known_signature_runs_without_miss(add16: _native.Binding) -> None:
    miss = Misses(add16)
    op = _native.Dispatcher("add", miss, (), ("a", "b"))
    x = f32()
    for _ in range(5):
        np.testing.assert_array_equal(op(x, x), x + x)
    assert (len(miss.calls), op.hits, op.size) == (1, 4, 1)


@pytest.mark.parametrize("shape", [(16,), (0,), (3, 1, 5), (), (1,) * 32, (5, 0, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bool", "complex128", "int8"])
def test_results_look_like_fresh_arrays(
    library: _native.Library, shape: tuple[int, ...], dtype: str
) -> None:
    program = _native.Program(library, "nothing", [], [(dtype, shape)])
    op = _native.Dispatcher("f", Misses(_native.Binding(program, (), ("out", 0, "array"))))
    result, model = op(), np.empty(shape, dtype)
    assert type(result) is np.ndarray
    assert (result.shape, result.strides, result.dtype) == (shape, model.strides, model.dtype)
    assert result.flags.num == model.flags.num
    assert result.base is None
    assert result.ctypes.data % 64 == 0


def test_results_own_their_data(add16: _native.Binding) -> None:
    op = _native.Dispatcher("add", Misses(add16))
    x = f32()
    result = op(x, x)
    result.resize(1000, refcheck=False)
    np.testing.assert_array_equal(result[:16], x + x)
    assert not result[16:].any()
    result.shape = (10, 100)
    result.resize((2, 2), refcheck=False)
    del result
    kept = [op(x, x) for _ in range(50)]
    assert len({r.ctypes.data for r in kept}) == 50


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.reshape(4, 4),
        lambda x: np.repeat(x, 2)[::2],
        lambda x: x[::-1],
        lambda x: x.view(np.int32),
        lambda x: x.tolist(),
        lambda x: x.astype(">f4"),
        lambda x: np.frombuffer(b"\0" + x.tobytes(), np.float32, 16, 1),
        lambda x: x.view(np.recarray),
        lambda x: None,
        lambda x: 1,
        lambda x: np.float32(1),
        lambda x: np.array(["a"] * 16),
        lambda x: np.array([object()] * 16),
        lambda x: np.array(["2020"], "M8[Y]"),
    ],
)
def test_another_signature_is_a_miss(add16: _native.Binding, change: Callable[[Any], Any]) -> None:
    other = _native.Value("missed")
    op = _native.Dispatcher("add", Misses(other))
    x = f32()
    op.insert((x, x), None, add16)
    assert op(x, x) is not None
    assert op(change(x), x) == "missed"
    assert op(x, change(x)) == "missed"
    assert op(x) == "missed"
    assert op(x, x, x) == "missed"
    assert op(x, b=x) == "missed"
    assert op.hits == 1


def test_extent_one_and_empty_arrays_are_in_c_order(axpy: Any) -> None:
    op = _native.Dispatcher("axpy", Misses(_native.Value("missed")))
    op.insert((np.ones((2, 3)), 2.0), None, axpy(array("float64", (2, 3))))
    odd = np.lib.stride_tricks.as_strided(np.ones(6), (2, 3), (24, 8))
    assert op(odd, 2.0)[0, 0] == 2.0
    program_input = array("float64", (1, 6), (777, 8))
    op.insert((np.ones((1, 6)), 2.0), None, axpy(program_input))


def test_exact_strides_match(axpy: Any) -> None:
    base = np.arange(12.0).reshape(2, 6)
    op = _native.Dispatcher("axpy", Misses(_native.Value("missed")))
    with pytest.raises(ValueError, match="does not accept"):
        op.insert((base[:, ::2], 1.0), None, axpy(array("float64", (2, 3))))
    op.insert((base[:, ::2], 1.0), None, axpy(array("float64", (2, 3), (48, 16))))
    assert op(base[:, ::2], 1.0) is not None
    assert op(base[:, :3], 1.0) == "missed"


def test_weak_scalars_are_not_in_the_signature(axpy: Any) -> None:
    op = _native.Dispatcher("axpy", Misses(axpy(array("float64", (2, 3)))))
    x = np.arange(6.0).reshape(2, 3)
    for value in (1.0, -2.5, 1e300, float("-0.0")):
        np.testing.assert_array_equal(op(x, value), x * value)
    assert op.size == 1
    op(x, 3)
    op(x, np.float64(4))
    assert op.size == 3
    np.testing.assert_array_equal(op(x, 7), x * 7)
    np.testing.assert_array_equal(op(x, np.float64(0.5)), x * 0.5)


SCALARS: list[tuple[str, Any]] = [
    ("float32", 0.1),
    ("float64", 0.1),
    ("float16", 0.1),
    ("float16", 65519.9),
    ("float16", 65520.0),
    ("float16", 6e-8),
    ("float16", 2.9e-8),
    ("float16", -1e-5),
    ("float16", 1.00048828125),
    ("float16", 1.00146484375),
    ("float16", float("-inf")),
    ("float16", 2047.5),
    ("float32", 1e-46),
    ("float64", 2**53 + 1),
    ("float32", 16777217),
    ("float16", 7),
    ("complex64", 1.5),
    ("complex128", 3),
    ("complex128", 1 + 2j),
    ("complex64", 0.1 - 0.3j),
    ("int64", -(2**63)),
    ("int64", 2**63 - 1),
    ("int32", -(2**31)),
    ("int8", 127),
    ("uint8", 255),
    ("uint64", 2**64 - 1),
    ("uint16", 65535),
    ("int16", -5),
    ("uint32", 4294967295),
]


@pytest.mark.parametrize(("dtype", "value"), SCALARS)
def test_scalars_convert_as_numpy_does(library: _native.Library, dtype: str, value: Any) -> None:
    program = _native.Program(library, "echo", [scalar(dtype)], [("uint8", (16,))])
    op = _native.Dispatcher("f", Misses(_native.Binding(program, (0,), ("out", 0, "array"))))
    with np.errstate(all="ignore"):
        expected = np.array(value).astype(dtype) if isinstance(value, float) else None
    expected = np.array(value, dtype) if expected is None else expected
    size = expected.dtype.itemsize
    assert op(value)[:size].tobytes() == expected.tobytes()
    same = expected.dtype.type(expected)
    assert op(same)[:size].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("dtype", "bounds", "value"),
    [
        ("int8", (None, None), 128),
        ("uint8", (None, None), -1),
        ("int64", (None, None), 2**63),
        ("uint64", (None, None), 2**64),
        ("int64", (None, None), -(2**70)),
        ("int64", (-3, 3), 4),
        ("int64", (-3, 3), -4),
        ("float32", (0, 255), 256),
        ("float64", (None, None), 10**400),
        ("uint64", (0, 2**64 - 2), 2**64 - 1),
    ],
)
def test_integers_out_of_bounds_are_missed(
    library: _native.Library, dtype: str, bounds: tuple[Any, Any], value: int
) -> None:
    program = _native.Program(library, "echo", [scalar(dtype, *bounds)], [("uint8", (16,))])
    op = _native.Dispatcher("f", Misses(_native.Value("missed")))
    op.insert((1,), None, _native.Binding(program, (0,), ("out", 0, "array")))
    assert op(1) is not None
    assert op(value) == "missed"
    assert op(2) is not None
