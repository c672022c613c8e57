"""Tensors of other libraries: read in place, answered in kind, refused where it would be wrong."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from jitops import _native

torch = pytest.importorskip("torch")


@pytest.fixture
def add(library: _native.Library) -> _native.Dispatcher:
    spec: _native.Input = ("array", "float32", (16,), None, False, None, None)
    program = _native.Program(library, "add16", [spec, spec], [("float32", (16,))])
    binding = _native.Binding(program, (0, 1), ("out", 0, "array"))
    return _native.Dispatcher("add", lambda args, kwargs: binding, (), ("a", "b"))


def test_torch_tensors_give_torch_tensors(add: _native.Dispatcher) -> None:
    t = torch.arange(16.0)
    for _ in range(3):
        result = add(t, t + 1)
        assert type(result) is torch.Tensor
        assert torch.equal(result, 2 * t + 1)
        assert result.data_ptr() % 64 == 0
        assert not result.requires_grad
    assert add.hits == 2
    result.mul_(3)
    kept = [add(t, t) for _ in range(20)]
    assert len({k.data_ptr() for k in kept}) == 20
    view = kept[3][2:5]
    del kept
    gc.collect()
    others = [add(t, t) for _ in range(50)]
    assert torch.equal(view, 2 * t[2:5])
    assert len(others) == 50


def test_mixed_arguments_give_tensors(add: _native.Dispatcher) -> None:
    t, x = torch.arange(16.0), np.arange(16, dtype=np.float32)
    assert type(add(t, x)) is torch.Tensor
    assert type(add(x, t)) is torch.Tensor
    assert type(add(x, x)) is np.ndarray
    assert add.size == 3


def test_parameters_have_a_signature_of_their_own(add: _native.Dispatcher) -> None:
    t = torch.nn.Parameter(torch.arange(16.0), requires_grad=False)
    assert torch.equal(add(t, t), 2 * t)


def test_tensors_that_require_grad_are_refused(add: _native.Dispatcher) -> None:
    t = torch.arange(16.0)
    for wanting in (t.clone().requires_grad_(), torch.nn.Parameter(t.clone())):
        with pytest.raises(RuntimeError, match=r"argument 'b' of op 'add' .*grad.*\.detach\(\)"):
            add(t, wanting)
        with torch.no_grad():
            assert torch.equal(add(t, wanting), 2 * t)
        assert torch.equal(add(t, wanting.detach()), 2 * t)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: t.to("meta"), "cannot be read"),
        (lambda t: t.to_sparse(), "cannot be read"),
        (lambda t: torch.complex(t, t).conj(), "resolve_conj"),
        (lambda t: torch.complex(t, t).conj().imag, "resolve_neg"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_not_what_memory_holds_are_refused(
    add: _native.Dispatcher, make: Any, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        add(make(torch.arange(16.0)), torch.arange(16.0))


@pytest.mark.filterwarnings("ignore")
def test_fake_and_transformed_tensors_are_refused(add: _native.Dispatcher) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), pytest.raises(RuntimeError, match="argument 'a'"):
        add(torch.zeros(16), torch.zeros(16))
    with pytest.raises(RuntimeError, match="argument 'a'"):
        torch.func.vmap(lambda t: add(t, t))(torch.zeros(3, 16))


@pytest.mark.parametrize(
    ("make", "dtype", "strides"),
    [
        (lambda t: t, "float32", None),
        (lambda t: t.bfloat16(), "bfloat16", None),
        (lambda t: t.half(), "float16", None),
        (lambda t: t > 1, "bool", None),
        (lambda t: t.reshape(4, 4).T, "float32", (4, 16)),
        (lambda t: t[::2], "float32", (8,)),
        (lambda t: t[None, :, None], "float32", None),
        (lambda t: t[:1].expand(5), "float32", (0,)),
        (lambda t: t[:0], "float32", None),
        (lambda t: torch.tensor(3), "int64", None),
        (lambda t: torch.complex(t, t).imag, "float32", (8,)),
    ],
)
def test_layouts_are_read_as_they_are(
    add: _native.Dispatcher, make: Any, dtype: str, strides: Any
) -> None:
    tensor = make(torch.arange(16.0))
    leaf = add.leaves((tensor,), None)[0]
    assert leaf == (tensor, "tensor", dtype, tuple(tensor.shape), strides, True, True)


def test_writing_a_tensor_is_seen_by_autograd(library: _native.Library) -> None:
    spec: _native.Input = ("array", "float64", (6,), None, True, None, None)
    program = _native.Program(library, "double_in_place", [spec], [])
    binding = _native.Binding(program, (0,), ("arg", 0))
    op = _native.Dispatcher("double", lambda args, kwargs: binding)
    t = torch.arange(6, dtype=torch.float64)
    before = t._version
    assert op(t) is t
    assert t.tolist() == [0, 2, 4, 6, 8, 10]
    assert t._version > before


def test_scalar_outputs_are_tensors_for_torch(library: _native.Library) -> None:
    spec: _native.Input = ("array", "float64", (6,), None, False, None, None)
    program = _native.Program(library, "sum6", [spec], [("float64", ())])
    binding = _native.Binding(program, (0,), ("out", 0, "scalar"))
    op = _native.Dispatcher("sum", lambda args, kwargs: binding)
    result = op(torch.arange(6, dtype=torch.float64))
    assert type(result) is torch.Tensor
    assert result.shape == ()
    assert result.item() == 15


def test_jax_arrays_give_jax_arrays(add: _native.Dispatcher) -> None:
    jax = pytest.importorskip("jax")
    j = jax.numpy.arange(16, dtype="float32")
    for _ in range(2):
        result = add(j, j)
        assert isinstance(result, jax.Array)
        np.testing.assert_array_equal(np.asarray(result), 2 * np.arange(16))
    assert add.leaves((j,), None)[0][6] is False


class Exporter:
    """A library of its own: exports through `__dlpack__`, in the old form too."""

    def __init__(self, array: Any, old: bool = False, device: Any = None) -> None:
        self.array, self.old, self.device = array, old, device

    def __dlpack__(self, **options: Any) -> Any:
        if self.old and options:
            raise TypeError("no options")
        if self.device:
            raise BufferError(f"on {self.device}")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def test_any_library_with_dlpack_is_read(add: _native.Dispatcher) -> None:
    x = np.arange(16, dtype=np.float32)
    for old in (False, True):
        result = add(Exporter(x, old), x)
        np.testing.assert_array_equal(result, x + x)
    with pytest.raises(RuntimeError, match="argument 'a' of op 'add' cannot be read: on mars"):
        add(Exporter(x, device="mars"), x)
