"""A known signature runs without Python, any other asks `miss`, wrong input never crashes."""

from __future__ import annotations

import collections
import functools
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jitops import _native

Node = tuple[Any, ...]


def array(dtype: str, shape: Any, strides: Any = None, mutated: bool = False) -> _native.Input:
    return ("array", dtype, shape, strides, mutated, None, None)


def scalar(dtype: str, lo: int | None = None, hi: int | None = None) -> _native.Input:
    return ("scalar", dtype, None, None, False, lo, hi)


class Misses:
    """A miss that answers with the same binding (or value) and remembers its calls."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls.append((args, kwargs))
        return self.answer(args, kwargs) if callable(self.answer) else self.answer


@pytest.fixture
def add16(library: _native.Library) -> _native.Binding:
    spec = array("float32", (16,))
    program = _native.Program(library, "add16", [spec, spec], [("float32", (16,))], 0, 10, name="a")
    return _native.Binding(program, (0, 1), ("out", 0, "array"))


@pytest.fixture
def axpy(library: _native.Library) -> Callable[..., _native.Binding]:
    def make(first: _native.Input, result: Node = ("out", 0, "array")) -> _native.Binding:
        program = _native.Program(
            library, "axpy", [first, scalar("float64")], [("float64", (2, 3))], 0, 10, name="axpy"
        )
        return _native.Binding(program, (0, 1), result)

    return make


def f32(n: int = 16) -> np.ndarray[Any, Any]:
    return np.arange(n, dtype=np.float32)


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


def test_static_values_compare_by_type_and_equality(add16: _native.Binding) -> None:
    seen: list[Any] = []

    def miss(args: Any, kwargs: Any) -> Any:
        seen.append(kwargs.get("axis", args[-1]))
        return add16

    op = _native.Dispatcher("f", miss, ("axis",), ("a", "b", "axis"))
    x = f32()
    values = [
        0,
        1,
        True,
        0.0,
        -0.0,
        1.0,
        None,
        "a",
        "b",
        (0, 1),
        (0, True),
        (0, (1.0,)),
        1j,
        10**30,
        np.float32(1),
        np.float64(-0.0),
        np.float64(0.0),
        frozenset({1}),
        b"a",
        np.dtype("f4"),
        float("nan"),
    ]
    for _ in range(3):
        for value in values:
            op(x, x, value)
    assert len(seen) == len(values) == op.size
    op(x, x, 10**30 + 0)
    op(x, x, "".join(["a"]))
    assert len(seen) == len(values)
    for value in values:
        op(x, x, axis=value)
    assert op.size == 2 * len(values)


@pytest.mark.parametrize("given", ["position", "keyword"])
def test_unhashable_static_arguments_are_refused_by_name(
    add16: _native.Binding, given: str
) -> None:
    op = _native.Dispatcher("f", Misses(add16), {"axis"}, ("a", "b", "axis"))
    x = f32()
    with pytest.raises(
        TypeError,
        match=r"argument 'axis' of op 'f' is static and must be hashable, "
        r"found list; pass a tuple",
    ):
        op(x, x, [1]) if given == "position" else op(x, x, axis=[1])


def test_an_exception_in_equality_reaches_the_caller(add16: _native.Binding) -> None:
    class Odd:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    op = _native.Dispatcher("f", Misses(add16), ("axis",), ("a", "b", "axis"))
    x = f32()
    op(x, x, Odd())
    with pytest.raises(ZeroDivisionError):
        op(x, x, Odd())


def test_equality_that_changes_the_table_is_survived(add16: _native.Binding) -> None:
    class Clearing:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            op.clear()
            return True

    op = _native.Dispatcher("f", Misses(add16), ("axis",), ("a", "b", "axis"))
    x = f32()
    for _ in range(5):
        np.testing.assert_array_equal(op(x, x, Clearing()), x + x)


def test_static_objects_compare_by_identity_and_stay_alive(add16: _native.Binding) -> None:
    class Thing: ...

    op = _native.Dispatcher("f", lambda args, kwargs: add16)
    thing = Thing()
    gone = weakref.ref(thing)
    x = f32()
    op(x, x, thing)
    op(x, x, thing)
    assert (op.hits, op.size) == (1, 1)
    op(x, x, Thing())
    assert op.size == 2
    del thing
    assert gone() is not None
    op.clear()
    assert gone() is None


Pair = collections.namedtuple("Pair", "a b")


def test_containers_are_flattened(add16: _native.Binding) -> None:
    op = _native.Dispatcher("f", Misses(add16))
    x = f32()
    forms: list[Any] = [
        (x, x),
        [x, x],
        {"a": x, "b": x},
        {"b": x, "a": x},
        Pair(x, x),
        collections.OrderedDict(a=x, b=x),
        ((x,), x),
        [[], x, x],
        (x, [x]),
    ]
    for form in forms:
        for _ in range(2):
            np.testing.assert_array_equal(op(form), x + x)
    assert (op.size, op.hits) == (len(forms), len(forms))
    leaves = op.leaves(({"b": (1.0, x)}, [np.int8(3), 2]), {"k": 1j})
    assert [leaf[1] for leaf in leaves] == ["float", "array", "scalar", "int", "complex"]
    assert leaves[1][2:] == ("float32", (16,), None, True, True)


def test_endless_containers_are_refused(add16: _native.Binding) -> None:
    op = _native.Dispatcher("f", Misses(add16))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError, match="argument 0 of op 'f' is nested more than"):
        op(endless)


def test_results_take_any_form(library: _native.Library) -> None:
    x, cap = np.arange(6.0), np.zeros(6)
    program = _native.Program(
        library,
        "nothing",
        [array("float64", (6,)), array("float64", (6,))],
        [("float64", (2,)), ("int32", ())],
    )
    marker = object()
    tree = (
        "tuple",
        (
            ("out", 0, "array"),
            ("list", (("out", 1, "scalar"), ("out", 1, "array"))),
            ("arg", 0),
            ("dict", (("k", ("const", marker)), ("out", ("out", 0, "array")))),
            ("cap", 1),
            ("namedtuple", Pair, (("arg", 0), ("tuple", ()))),
        ),
    )
    op = _native.Dispatcher("f", Misses(_native.Binding(program, (0, cap), tree)))
    for _ in range(3):
        first, (number, zero_d), same, mapping, captured, pair = op(x)
        assert isinstance(number, np.int32)
        assert zero_d.shape == ()
        assert same is x
        assert mapping == {"k": marker, "out": first} or mapping["out"] is first
        assert captured is cap
        assert isinstance(pair, Pair)
        assert pair.a is x


def test_scalar_results_are_numpy_scalars(library: _native.Library) -> None:
    program = _native.Program(library, "sum6", [array("float64", (6,))], [("float64", ())])
    op = _native.Dispatcher("s", Misses(_native.Binding(program, (0,), ("out", 0, "scalar"))))
    for _ in range(3):
        result = op(np.arange(6.0))
        assert type(result) is np.float64
        assert result == 15


def test_captured_arrays_give_their_present_contents(library: _native.Library) -> None:
    cap = np.arange(6.0)
    program = _native.Program(library, "sum6", [array("float64", (6,))], [("float64", ())])
    binding = _native.Binding(program, (cap,), ("out", 0, "scalar"))
    op = _native.Dispatcher("s", Misses(_native.Value("missed")))
    op.insert((), None, binding)
    assert op() == 15
    cap[0] = 10
    assert op() == 25
    cap.shape = (2, 3)
    assert op() == "missed"


def test_written_arguments_are_checked_at_each_call(library: _native.Library) -> None:
    spec, written = array("float64", (6,)), array("float64", (6,), None, True)
    program = _native.Program(library, "two_in_place", [written, spec], [])
    op = _native.Dispatcher("f", Misses(_native.Value("missed")))
    buffer = np.arange(20.0)
    x, y = buffer[:6], buffer[6:12]
    op.insert((x, y), None, _native.Binding(program, (0, 1), ("arg", 0)))
    assert op(x, y) is x
    np.testing.assert_array_equal(x, np.arange(6) + np.arange(6, 12))
    assert op(x, x) == "missed"
    assert op(x, buffer[3:9]) == "missed"
    x.flags.writeable = False
    assert op(x, y) == "missed"


def test_a_failing_kernel_raises(library: _native.Library) -> None:
    for parallel in (False, True):
        program = _native.Program(library, "fail7", [], [("float64", (9,))], 0, 1e6, parallel, "k7")
        op = _native.Dispatcher("f", Misses(_native.Binding(program, (), ("out", 0, "array"))))
        for _ in range(2):
            with pytest.raises(RuntimeError, match="kernel 'k7' failed with code 7"):
                op()


def test_the_workspace_is_aligned(library: _native.Library) -> None:
    program = _native.Program(library, "workspace", [], [("uint64", ())], 4096)
    op = _native.Dispatcher("f", Misses(_native.Binding(program, (), ("out", 0, "scalar"))))
    assert int(op()) % 64 == 0


def test_a_binding_that_does_not_fit_is_refused(add16: _native.Binding) -> None:
    x = f32()
    op = _native.Dispatcher("f", Misses(add16))
    for args in [(x, x.astype("f8")), (x,), (x, 1.0), (x[:8], x[:8]), (x.astype(">f4"), x)]:
        with pytest.raises(RuntimeError, match="does not accept"):
            op(*args)
        with pytest.raises(ValueError, match="op 'f'"):
            op.insert(args, None, add16)
    assert op.size == 0


def test_wrong_descriptions_are_refused(library: _native.Library, add16: _native.Binding) -> None:
    spec = array("float32", (16,))
    cases: list[Callable[[], Any]] = [
        lambda: _native.Program(library, "absent", [], []),
        lambda: _native.Program(library, 0, [], []),
        lambda: _native.Program(
            library, "nothing", [("array", "float31", (1,), None, False, 0, 0)], []
        ),
        lambda: _native.Program(
            library, "nothing", [("thing", "float32", (1,), None, False, 0, 0)], []
        ),
        lambda: _native.Program(library, "nothing", [array("float32", (-1,))], []),
        lambda: _native.Program(library, "nothing", [array("float32", (1,) * 65)], []),
        lambda: _native.Program(library, "nothing", [array("float32", (2, 2), (8,))], []),
        lambda: _native.Program(library, "nothing", [array("float32", None)], []),
        lambda: _native.Program(library, "nothing", [()], []),  # type: ignore[list-item]
        lambda: _native.Program(library, "nothing", [], [("float32", (2**40, 2**40))]),
        lambda: _native.Program(library, "nothing", [], [], -1),
        lambda: _native.Program(None, "nothing", [], []),  # type: ignore[arg-type]
    ]
    program = _native.Program(library, "nothing", [spec], [("float32", ())])
    for tree in [
        ("out", 1, "array"),
        ("arg", -1),
        ("cap", 1),
        ("what", 0),
        (),
        "out",
        ("tuple", 3),
        ("dict", ((1,),)),
        ("out",),
        ("namedtuple", 1),
        ("tuple", ("x",)),
    ]:
        cases.append(functools.partial(_native.Binding, program, (0,), tree))
    cases.append(lambda: _native.Binding(program, (), ("out", 0, "array")))
    cases.append(lambda: _native.Binding(program, ("x",), ("out", 0, "array")))
    cases.append(lambda: _native.Dispatcher("f", None, (1,)))  # type: ignore[arg-type]
    cases.append(lambda: _native.Dispatcher("f", None, (), (), 0))  # type: ignore[arg-type]
    cases.append(lambda: _native.Dispatcher.__new__(_native.Dispatcher)())
    cases.append(lambda: _native.Dispatcher("f", Misses(3))())
    cases.append(lambda: _native.Dispatcher("f", Misses(None)).insert((), None, 3))  # type: ignore[arg-type]
    cases.append(lambda: _native.Dispatcher("f", Misses(None)).insert(3, None, add16))  # type: ignore[arg-type]
    cases.append(lambda: _native.Library(b"not a library"))
    cases.append(lambda: _native.Library(b""))
    for case in cases:
        with pytest.raises((TypeError, ValueError, ImportError, RuntimeError, OverflowError)):
            case()


def test_it_behaves_as_a_function(add16: _native.Binding) -> None:
    op = _native.Dispatcher("add", Misses(add16))
    op.__dict__.update(__name__="add", __wrapped__=f32)
    assert op.__dict__ == {"__name__": "add", "__wrapped__": f32}
    assert repr(op) == "<jitops._native.Dispatcher 'add'>"

    class Holder:
        method = op

    seen: list[Any] = []
    Holder.method = _native.Dispatcher(
        "m",
        lambda args, kwargs: _native.Value(seen.append(args) or 1),  # type: ignore[func-returns-value]
    )
    holder = Holder()
    assert holder.method(2) == 1
    bound = holder.method
    assert bound(3) == 1
    assert seen == [(holder, 2), (holder, 3)]


def test_subclasses_add_methods(add16: _native.Binding) -> None:
    class Op(_native.Dispatcher):
        def __init__(self) -> None:
            super().__init__("op", self.missing, (), ("a", "b"))

        def missing(self, args: Any, kwargs: Any) -> Any:
            return add16

    op = Op()
    x = f32()
    np.testing.assert_array_equal(op(x, x), x + x)
    np.testing.assert_array_equal(op(x, b=x), x + x)
    np.testing.assert_array_equal(op(*(x,), b=x), x + x)
    gone = weakref.ref(op)
    del op
    gc.collect()
    assert gone() is None


def test_misses_may_call_the_op_and_raise(add16: _native.Binding) -> None:
    def miss(args: Any, kwargs: Any) -> Any:
        if kwargs:
            return _native.Value(op(*args))
        if len(args) == 3:
            raise LookupError("no")
        return add16

    op = _native.Dispatcher("f", miss)
    x = f32()
    np.testing.assert_array_equal(op(x, x, k=1), x + x)
    with pytest.raises(LookupError):
        op(x, x, x)


def test_memory_use_is_steady(add16: _native.Binding) -> None:
    import tracemalloc

    op = _native.Dispatcher("f", Misses(add16), ("axis",), ("a", "b", "axis"))
    x = f32()

    def calls() -> None:
        for _ in range(2000):
            op(x, x)
            op({"a": [x, x]}, axis="q")
            op(x, x, ("w", 2))

    calls()
    gc.collect()
    tracemalloc.start()
    calls()
    before = tracemalloc.get_traced_memory()[0]
    calls()
    assert tracemalloc.get_traced_memory()[0] - before < 4000
    tracemalloc.stop()


def test_threads_share_a_dispatcher(library: _native.Library) -> None:
    spec = array("float32", (16,))
    program = _native.Program(library, "add16", [spec, spec], [("float32", (16,))], 0, 1e6)
    binding = _native.Binding(program, (0, 1), ("out", 0, "array"))
    op = _native.Dispatcher("f", Misses(binding))
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.full(16, seed, np.float32)
        for i in range(400):
            if not (op(x, x) == 2 * seed).all() or not (op([x, x], i % 7) == 2 * seed).all():
                wrong.append(seed)
            if i % 50 == seed:
                op.clear()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_arguments_taken_away_during_a_call_are_survived(add16: _native.Binding) -> None:
    class Emptying:
        def __init__(self, box: list[Any]) -> None:
            self.box = box

        def __hash__(self) -> int:
            self.box.clear()
            return 7

        def __eq__(self, other: object) -> bool:
            self.box.clear()
            return True

    op = _native.Dispatcher("f", Misses(_native.Value("missed")), ("axis",), ("a", "axis"))
    op.insert(([f32(), f32()], Emptying([])), None, add16)
    for _ in range(20):
        box: list[Any] = [f32(), f32()]
        result = op(box, Emptying(box))
        assert box == []
        np.testing.assert_array_equal(result, 2 * f32())
