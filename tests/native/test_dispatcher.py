"""What the dispatcher returns and raises; wrong input never crashes."""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bindings import Misses, Pair, array, f32

from jitops import _native


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
