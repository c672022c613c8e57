"""Fourier transforms in native steps: NumPy's results, to the accuracy of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparing import agree
from numpy.fft import fft

import jitops
from jitops import jitop
from jitops.errors import UnsupportedError
from jitops.trace.roots import roots

RNG = np.random.default_rng(17)

Case = tuple[str, Callable[..., Any], Any]


def values(dtype: str, *shape: int) -> Any:
    x = RNG.normal(size=shape) * 3
    if np.dtype(dtype).kind == "c":
        x = x + 1j * RNG.normal(size=shape)
    return x.astype(dtype)


def close(found: Any, wanted: Any) -> None:
    """The same type, dtype and shape; each value to some units of the largest one."""
    assert type(found) is type(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if wanted.size:
        scale = np.abs(wanted).max() or 1.0
        assert np.abs(found - wanted).max() <= 8 * np.finfo(wanted.dtype).eps * scale


def compare(cases: list[Case]) -> None:
    """All calls in one op without host steps."""

    def together(arguments: Any) -> Any:
        return [fn(x) for (_, fn, _), x in zip(cases, arguments, strict=True)]

    arguments = [x for _, _, x in cases]
    found, wanted = jitop(together, strict=True)(arguments), together(arguments)
    agree([name for name, _, _ in cases], found, wanted, close)


def of_one_axis(dtype: str) -> list[Case]:
    lines, grid = values(dtype, 3, 8), values(dtype, 2, 5, 6)
    names = ["fft", "ifft", "irfft", "hfft"]
    names += ["rfft", "ihfft"] if np.dtype(dtype).kind != "c" else []
    cases: list[Case] = []
    for name in names:
        fn = getattr(np.fft, name)
        cases += [
            (name, fn, lines),
            (f"{name} n=5", lambda x, fn=fn: fn(x, 5), lines),
            (f"{name} n=1", lambda x, fn=fn: fn(x, n=1), lines),
            (f"{name} n=11, axis", lambda x, fn=fn: fn(x, 11, 0, "ortho"), lines),
            (f"{name} norm", lambda x, fn=fn: fn(x, axis=1, norm="forward"), grid),
            (f"{name} of none", fn, lines[:0]),
        ]
    return cases


def of_several_axes(dtype: str) -> list[Case]:
    grid = values(dtype, 2, 5, 6)
    names = ["fft2", "fftn", "ifftn", "irfft2", "irfftn"]
    names += ["rfft2", "rfftn"] if np.dtype(dtype).kind != "c" else []
    cases: list[Case] = []
    for name in names:
        fn = getattr(np.fft, name)
        cases += [
            (name, fn, grid),
            (f"{name} s", lambda x, fn=fn: fn(x, (4, 7), (0, 2)), grid),
            (f"{name} -1", lambda x, fn=fn: fn(x, s=(-1, 5), axes=(1, 0), norm="ortho"), grid),
            (f"{name} axes", lambda x, fn=fn: fn(x, axes=(2, 0)), grid),
        ]
    return cases


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_every_transform_gives_numpys_results(dtype: str) -> None:
    compare(of_one_axis(dtype))
    compare(of_several_axes(dtype))


def test_other_dtypes_are_taken_as_numpy_takes_them() -> None:
    compare([(d, np.fft.rfft, values(d, 2, 4)) for d in ("float16", "int8", "uint64", "bool")])


def test_every_length_has_its_steps() -> None:
    """Powers, small primes, products of them, and the primes that need a convolution."""
    lengths = (*range(1, 18), 31, 37, 64, 74, 81, 100, 121, 1009, 1024)
    compare([(f"{n} points", np.fft.fft, values("complex128", n)) for n in lengths])
    compare([(f"{n} real", np.fft.rfft, values("float64", n)) for n in (34, 35, 37, 74, 1024)])


def test_frequencies_and_shifts() -> None:
    x = values("float64", 4, 7)
    compare(
        [
            ("fftshift", np.fft.fftshift, x),
            ("ifftshift", lambda x: np.fft.ifftshift(x, axes=1), x),
            ("fftfreq", lambda x: x * np.fft.fftfreq(x.shape[1], 0.5), x),
            ("rfftfreq", lambda x: x[:, :4] * np.fft.rfftfreq(x.shape[1]), x),
        ]
    )


def direct(x: Any) -> Any:
    """The transform of rows by its definition, in extended precision."""
    n = np.arange(x.shape[-1])
    re, im = roots(np.outer(n, n), n.size)
    return x @ (re - 1j * im).T


@pytest.mark.parametrize("n", [64, 74, 97, 125, 720, 997, 1024])
def test_errors_are_no_larger_than_numpys(n: int) -> None:
    x = values("complex128", 4, n)
    exact = direct(x)

    def error(found: Any) -> float:
        return float(np.sqrt(np.mean(np.abs(found - exact) ** 2)))

    assert error(jitop(np.fft.fft, strict=True)(x)) <= 1.05 * error(np.fft.fft(x))


def test_roots_of_unity_are_right_to_the_last_bit() -> None:
    mpmath = pytest.importorskip("mpmath")
    if np.finfo(np.longdouble).nmant < 60:
        pytest.skip("this platform has no type wider than double")
    with mpmath.workprec(100):
        for n in (8, 12, 997):
            found = roots(np.arange(-n, n), n)
            for k in range(2 * n):
                angle = 2 * mpmath.mpf(k - n) / n
                wanted = float(mpmath.cospi(angle)), float(mpmath.sinpi(angle))
                assert (float(found[0][k]), float(found[1][k])) == wanted


def test_transforms_fuse_with_what_is_around_them_and_stand_in_loops() -> None:
    def filtered(x: Any, window: Any) -> Any:
        spectrum = np.fft.rfft(x * window)
        spectrum[..., 3:] = 0
        return np.fft.irfft(spectrum, x.shape[-1])

    def steps(x: Any, window: Any) -> Any:
        return jitops.fori_loop(0, 3, lambda i, x: filtered(x, window), x)

    x, window = values("float64", 3, 16), values("float64", 16)
    for fn in (filtered, steps):
        np.testing.assert_allclose(jitop(fn, strict=True)(x, window), fn(x, window), atol=1e-9)


def test_the_number_of_lines_may_vary() -> None:
    op = jitop(np.fft.fft, strict=True)
    for count in (*range(2, 12), 40):
        x = values("complex128", count, 12)
        np.testing.assert_allclose(op(x), np.fft.fft(x), atol=1e-12)


def test_a_result_may_be_written_to_an_argument() -> None:
    x, out = values("complex128", 12), np.zeros(12, complex)
    jitop(lambda x, out: np.fft.fft(x, out=out), strict=True)(x, out)
    np.testing.assert_allclose(out, np.fft.fft(x), atol=1e-12)


def test_an_output_of_another_shape_is_refused() -> None:
    x = values("complex128", 12)
    for out in (np.zeros((3, 4), complex), np.zeros((2, 12), complex)):
        with pytest.raises(ValueError, match="has wrong shape"):
            jitop(lambda x, out: np.fft.fft(x, out=out))(x, out)


def test_an_output_of_another_kind_is_refused() -> None:
    x = values("complex128", 12)
    with pytest.raises(TypeError, match="Cannot cast"):
        jitop(lambda x, out: np.fft.fft(x, out=out))(x, np.zeros(12))


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_integers_are_transformed_as_the_floats_that_they_are(dtype: str) -> None:
    for x in (np.arange(10, dtype=dtype), np.arange(77, dtype=dtype) % 13):
        for fn in (np.fft.fft, np.fft.rfft):
            op = jitop(lambda x, fn=fn: fn(x))
            np.testing.assert_array_equal(op(x), op(x.astype(float)))


def test_a_list_of_arrays_is_transformed() -> None:
    x, y = values("float64", 6), values("float64", 6)
    for fn in (
        lambda x, y: np.fft.fft([x, y]),
        lambda x, y: np.fft.irfftn((x, y)),
        lambda x, y: fft([x[0], 1.0, y[0]]),
        lambda x, y: np.fft.fftshift([x, y]),
    ):
        np.testing.assert_allclose(jitop(fn, strict=True)(x, y), fn(x, y), atol=1e-12)


CALLED = """
import sys
import numpy as np
from jitops import jitop

assert "numpy.fft" not in sys.modules
found = jitop(lambda x: np.fft.fft([x, x]))(np.ones(3))
assert (found[:, 0] == 3).all()
assert type(np.fft) is type(np)
"""


def test_a_list_is_transformed_where_nobody_has_imported_numpy_fft() -> None:
    subprocess.run([sys.executable, "-c", CALLED], check=True)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="NumPy 2 deprecated it")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: np.fft.fftn(x, (2, 2)), "`axes` should not be `None` if `s`"),
        (lambda x: np.fft.fft2(x, (2, None)), "array containing `None` values"),
    ],
)
def test_deprecated_arguments_warn_where_they_are_given(call: Any, said: str) -> None:
    x = values("float64", 3, 4)
    with pytest.warns(DeprecationWarning, match=said) as mine:
        found = jitop(call)(x)
    with pytest.warns(DeprecationWarning, match=said):
        wanted = call(x)
    assert [w.filename for w in mine] == [__file__]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_beyond_its_limit_a_transform_is_a_host_step_and_says_so() -> None:
    x = np.ones((513, 512), complex)

    def lines(x: Any) -> Any:
        return np.fft.fft(x)

    said = str(jitop(lines, strict=False).explain(x))
    assert "numpy.fft.fft on complex128[513,512]" in said
    assert "no native code above 262144 values in several lines" in said
    with pytest.raises(UnsupportedError, match="no native code above 262144 values in several li"):
        jitop(lines, strict=True)(x)
    assert "runs in NumPy" not in str(jitop(lines).explain(x[:64]))
    assert "runs in NumPy" not in str(jitop(lines).explain(x.reshape(-1)[: 1 << 18]))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.fft.fft(x, 0),
        lambda x: np.fft.fft(x, axis=5),
        lambda x: np.fft.fft(x, norm="none"),
        lambda x: np.fft.fftn(x, (3, 3), (0,)),
        np.fft.rfft,
    ],
)
def test_what_numpy_refuses_is_refused_in_its_words(call: Any) -> None:
    x = np.zeros((2, 4), complex)
    with pytest.raises(Exception) as wanted:  # noqa: PT011  # whatever NumPy raises
        call(x)
    with pytest.raises(type(wanted.value)) as found:
        jitop(lambda x: call(x), strict=True)(x)
    assert str(found.value) == str(wanted.value)
