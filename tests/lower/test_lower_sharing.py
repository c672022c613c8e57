"""Steps of a loop that differ in where they read and write are one function; values are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compiled import element_strides

from jitops import jitop, options
from jitops.codegen.module import INLINED
from jitops.lower.lowering import Lowered, lower
from jitops.trace import trace


def stencil(a: Any, b: Any) -> None:
    for _ in range(20):
        b[1:-1] = 0.3 * (a[:-2] + a[1:-1] + a[2:])
        a[1:-1] = 0.3 * (b[:-2] + b[1:-1] + b[2:])


def columns(a: Any, b: Any) -> None:
    """A recurrence: each step reads what the two before it have written."""
    for j in range(2, a.shape[1]):
        b[:, j] = a[:, j] + 0.5 * b[:, j - 1] - 0.25 * b[:, j - 2]


def backwards(a: Any, b: Any) -> None:
    for j in range(a.shape[1] - 2, -1, -1):
        b[:, j] = a[:, j + 1] * b[:, j + 1]


def rows(a: Any, b: Any) -> None:
    """Sums and positions of the largest."""
    for i in range(a.shape[0]):
        b[i, 0] = a[i].sum() + a[i].argmax()


def windows(a: Any, b: Any) -> None:
    """Reductions side by side, none of which needs another."""
    sums = np.zeros((20, 20), b.dtype)
    for i in range(20):
        for j in range(20):
            sums[i, j] = (a[i : i + 3, j : j + 3] * b[:3, :3]).sum()
    b[:20, :20] = sums


def counted(a: Any, b: Any) -> None:
    """The same expression with another constant is not the same kernel."""
    for i in range(20):
        a[0] = a[0] * (i % 5 + 2) + b[i % 2] + np.arange(i % 3, i % 3 + a.shape[1])


def looked_up(a: Any, b: Any) -> None:
    for i in range(a.shape[0]):
        b[i] = a[i][np.abs(b[0]).astype(np.int64) % a.shape[1]]


def shrinking(a: Any, b: Any) -> None:
    """A product of vector and matrix, and two copies, of fewer elements in each step."""
    for i in range(a.shape[1]):
        b[i, i:] = b[i:, i] = a[:, i] @ a[:, i:]


def growing(a: Any, b: Any) -> None:
    """Each of these statements has one extent that grows, outermost or innermost."""
    for n in range(2, a.shape[0]):
        b[:n, :3] = np.exp(a[:n, 1:4])
        b[:3, :n] += a[1:4, :n].T.sum()
        b[:n, 4] = a[:n, 1:].sum(axis=1) / 8
        b[5, :n] -= a[1:, :n].max(axis=0)


def heads(a: Any, b: Any) -> None:
    """Products in every form, of slices, each with what follows its elements."""
    weights = np.sqrt(np.abs(b))
    for h in range(10):
        scores = np.exp(a[:, h : h + 8] @ a[:, h + 4 : h + 12].T)
        b[:, h : h + 8] += scores @ a[:, h : h + 8] / 24
        b[:4] += weights[h : h + 4] @ a


# Program, and how many kernels of its own it needs at most, however many steps it takes.
PROGRAMS: list[tuple[Callable[..., None], int]] = [
    (stencil, 3), (columns, 3), (backwards, 3), (rows, 5), (windows, 40), (counted, 40),
    (looked_up, 60), (shrinking, 8), (growing, 40), (heads, 8),
]  # fmt: skip
REAL = (rows, looked_up, growing)
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "C": lambda x: x,
    "transposed": lambda x: x.copy().T,
    "every second": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1, ::-1],
}


def arrays(dtype: str) -> list[Any]:
    generator = np.random.default_rng(3)
    return [(generator.random((24, 24)) - 0.5).astype(dtype) for _ in range(2)]


def lowered(program: Callable[..., None], a: Any, b: Any) -> Lowered:
    traced = trace(program, (a, b), {})
    return lower(traced.graph, [element_strides(a), element_strides(b)], traced.mutated)


@pytest.mark.parametrize(("program", "most"), PROGRAMS)
def test_a_loop_over_steps_is_compiled_once_for_each_statement(program, most):
    kernels = lowered(program, *arrays("float64")).kernels
    assert len(kernels) >= 20
    own = [kernel for kernel in kernels if kernel.frame.original is None]
    assert len(own) <= most


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_shared_kernels_compute_what_numpy_does(dtype, layout, tmp_path):
    programs = [p for p, _ in PROGRAMS if dtype == "float64" or p not in REAL]

    def together(pairs: Any) -> None:
        for program, (a, b) in zip(programs, pairs):
            program(a, b)

    found, wanted = (
        [[LAYOUTS[layout](x) for x in arrays(dtype)] for _ in programs] for _ in range(2)
    )
    with options(cache_dir=str(tmp_path), strict=True):
        jitop(together)(found)
    together(wanted)
    for program, mine, numpys in zip(programs, found, wanted):
        for f, w in zip(mine, numpys):
            np.testing.assert_allclose(f, w, 1e-4, 1e-6, err_msg=program.__name__)


@pytest.mark.parametrize("steps", [INLINED - 4, INLINED + 4])
def test_few_kernels_and_many_agree_in_place(steps, tmp_path):
    """One function with all kernels inlined, and kernels called one by one."""

    def shifted(x: Any) -> None:
        for i in range(steps):
            x[1:] += x[:-1] * (i + 1)
            x[0] = x[-1]

    found, wanted = np.arange(7), np.arange(7)
    with options(cache_dir=str(tmp_path), strict=True):
        jitop(shifted)(found)
    shifted(wanted)
    np.testing.assert_array_equal(found, wanted)


def halves(a: Any, b: Any) -> None:
    """Work for several cores in the first steps, and for one in the last."""
    for step in range(10):
        n = 500 - 50 * step
        b[:, :n] += np.exp(a[:, :n])
        b[:n, 1] = a[:n].sum(axis=1)
        b[step, :n] = a[:, step] @ a[:, :n]
        b[:n] = np.sqrt(b[:n] + a[:n])


def test_extents_that_are_arguments_split_the_work_between_cores(tmp_path):
    generator = np.random.default_rng(4)
    given = [generator.random((600, 520)) for _ in range(2)]
    found, wanted = ([x.copy() for x in given] for _ in range(2))
    with options(cache_dir=str(tmp_path), num_threads=3):
        jitop(halves)(*found)
    halves(*wanted)
    for x, y in zip(found, wanted):
        np.testing.assert_allclose(x, y, rtol=1e-9)


def joined(a: Any, b: Any) -> Any:
    """Two parts that share values, one of another shape, and two that share none."""
    even, odd = a + b, np.exp(a - b)
    return np.concatenate([even + odd, even - odd, a[:3] * 2, np.sqrt(b), b * b])


def test_parts_of_an_array_that_share_values_are_one_kernel():
    a, b = np.linspace(0, 1, 28).reshape(7, 4), np.linspace(2, 3, 28).reshape(7, 4)
    np.testing.assert_allclose(jitop(joined)(a, b), joined(a, b), rtol=1e-15)
    assert [len(kernel.stores) for kernel in lowered(joined, a, b).kernels] == [2, 1, 1, 1]


def test_a_product_computes_nothing_but_what_follows_it():
    def beside(a: Any, b: Any) -> Any:
        return np.exp(a @ b), a.T.reshape(-1) * 2

    kernels = lowered(beside, *arrays("float64")).kernels
    assert [len(kernel.stores) for kernel in kernels if kernel.kind == "dot"] == [1]
