"""The statements that random programs are made of: at least one for every traced function.

A placeholder stands for a value of the program so far, or for a literal that fits the first one:

    {x} any array   {n} real   {f} float   {i} integer   {b} bool   {c} complex
    {v} one axis    {m} two axes   {d} one axis or more    {q} a square matrix
    {y} broadcasts to the first value   {z} has its shape   {t} its shape and dtype
    {a} an axis of it   {e} a reshape of it   {j} indices of its first axis   {g} its rank
    {k} an int of -2 to 2   {p} of 1 to 3   {r} a float   {l} a float dtype   {o} the result

Statements of `EXACT` give the same bits in any order of evaluation; those of `ROUNDED` do not.
"""

from __future__ import annotations

import numpy as np

__all__ = ["EXACT", "LEFT_OUT", "ROUNDED"]

# ufuncs that round correctly, or do not round
_PLAIN = """
add subtract multiply divide floor_divide remainder fmod divmod negative positive absolute fabs
rint floor ceil trunc sign heaviside conjugate square sqrt reciprocal copysign nextafter spacing
modf ldexp frexp bitwise_and bitwise_or bitwise_xor invert left_shift right_shift bitwise_count
equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor
logical_not maximum minimum fmax fmin isnan isinf isfinite signbit gcd lcm
"""
PLAIN_UFUNCS = frozenset(_PLAIN.split())

# Their loops with the accumulator among the operands are wrong in NumPy itself on some CPUs.
NO_FOLDS = {"arctan2", "power", "float_power", "ldexp", "heaviside", "divmod", "nextafter"}


def _ufuncs(exact: bool) -> list[str]:
    found = {f.__name__: f for f in vars(np).values() if isinstance(f, np.ufunc)}
    made = []
    for name, f in sorted(found.items()):
        if f.signature is not None or name == "isnat" or (name in PLAIN_UFUNCS) != exact:
            continue
        operands = "{x}, {i}" if name == "ldexp" else "{x}, {y}" if f.nin == 2 else "{x}"
        if f.nout == 2:
            made.append(f"{{o}} = np.{name}({operands})[0]; {{o}} = np.{name}({operands})[1]")
        else:
            made.append(f"np.{name}({operands})")
        if f.nin == 2 and f.nout == 1 and name not in NO_FOLDS:
            made.append(f"np.{name}.accumulate({{d}}, axis={{a}})")
            if name not in ("subtract", "divide") or not exact:  # of float16: as the memory lies
                made.append(f"np.{name}.reduce({{d}}, axis={{a}}, initial=1)")
            made.append(f"np.{name}.outer({{v}}, {{x}})")
            made.append(f"np.{name}.reduceat({{v}}, [0, 0])")
    return made


# ``np.add.at`` takes an int for an int64, and adds it to uint64 in float64: back from there, NumPy
# leaves a sum that is negative, or 2**64, to the C compiler.
_EXACT = """
np.isin({x}, [0, 1, 3]) | {o} = np.histogram({n}, bins=[-2, 0, 1, 5])[0]
{o} = np.histogram2d({v}, {z}, bins=[[-3, 0, 3], [-1, 1]])[0]
np.histogram_bin_edges({i}, 3, (0, 6))
{o} = np.histogramdd([{v}, {z}], bins=[[-3, 0, 3], [-1, 1]])[0]
np.max({d}, axis={a}) | np.amin({d}, keepdims=True) | np.min({d}) | np.amax({d}, {a})
np.any({x}, axis={a}) | np.all({d}, {a}, keepdims=True) | np.argmax({d}, axis={a})
np.argmin({d}) | np.count_nonzero({d}, axis={a}) | np.ptp({n}) | np.nanmax({d}, axis={a})
np.nanmin({d}) | np.nanargmax({i}, axis={a}) | np.nanargmin({i}) | np.sum({i}, axis={a})
np.cumsum({i}, axis={a}) | np.cumprod({i}, {a}) | np.prod({i}, {a})
np.sum({i}, axis={a}, where={b}) | {n}.max(initial=0) | np.nansum({i}, axis={a}) | np.nanprod({i})
np.nancumsum({i}, {a}) | np.nancumprod({i}, {a}) | np.reshape({x}, {e}) | np.ravel({x})
np.transpose({x}) | np.matrix_transpose({m}) | np.swapaxes({m}, 0, {a}) | np.moveaxis({m}, 0, -1)
np.rollaxis({d}, {a}) | np.squeeze({x}) | np.expand_dims({x}, 0)
np.broadcast_to({x}, (2, *np.shape({x}))) | {o} = np.broadcast_arrays({x}, {y})[1]
np.diagonal({m}, {k}) | np.diag({v}, {k}) | np.diag({m}) | np.flip({x}) | np.flip({d}, {a})
np.fliplr({m}) | np.flipud({d}) | np.rot90({m}, {k}) | np.atleast_1d({x}) | np.atleast_2d({x})
np.atleast_3d({x}) | {o} = np.array_split({d}, 2)[0] | {o} = np.split({d}, [1])[1]
{o} = np.hsplit({m}, [1])[1] | {o} = np.vsplit({m}, [1])[0]
{o} = np.dsplit(np.atleast_3d({m}), [1])[0] | {o} = np.unstack({d})[0] | np.real({x})
np.imag({x}) | np.copy({x}) | np.concatenate([{d}, {z}], axis={a})
np.concatenate([{x}, {y}], axis=None) | np.stack([{x}, {z}]) | np.stack([{d}, {z}], axis=-1)
np.vstack([{x}, {z}]) | np.hstack([{x}, {z}]) | np.dstack([{x}, {z}])
np.column_stack([{v}, {z}]) | np.take({x}, {j}) | np.take({d}, {j}, axis=0) | np.repeat({x}, {p})
np.repeat({d}, {p}, axis={a}) | np.tile({x}, {p}) | np.tile({x}, ({p}, 1)) | np.roll({x}, {k})
np.roll({d}, {k}, axis={a}) | np.tril({m}, {k}) | np.triu({m}, {k}) | np.where({b}, {x}, {y})
np.where({x}, {k}, {y}) | np.clip({n}, {k}, {p}) | np.clip({n}, None, {y}) | np.round({n}, 0)
np.around({i}, -1) | np.select([{b}], [{x}], {k}) | np.choose(({x} > 0).astype(int), [{y}, {z}])
np.pad({x}, {p}) | np.pad({d}, 1, mode='edge') | np.pad({d}, 1, mode='wrap')
np.pad({d}, {p}, constant_values={k}) | np.pad({d}, 1, mode='reflect')
np.pad({d}, ({p}, 0), mode='symmetric') | np.nan_to_num({x}) | np.array_equal({x}, {z})
np.array_equiv({x}, {y}) | np.piecewise({x}, [{x} > 0, {x} < 0], [1, {k}])
{o} = np.meshgrid({v}, {v})[0] | np.block([[{m}, {m}]]) | np.compress([True, False], {d}, axis=0)
np.cross(np.stack([{x}, {z}, {x}], -1), np.ones(3)) | np.kron({i}, {i}) | np.kron({x}, np.ones(2))
np.linalg.cross(np.stack([{x}, {z}, {z}], -1), np.arange(3)) | np.fix({n}) | np.isposinf({f})
np.isneginf({f}) | np.iscomplex({x}) | np.isreal({x}) | np.append({x}, {y}) | np.diff({x})
np.append({d}, {z}, axis={a}) | np.ediff1d({x}) | np.resize({x}, (2, 3))
np.extract([True], {v}[:1]) | np.take_along_axis({d}, np.zeros_like({d}, int)[:1], axis=0)
np.diagflat({v}) | np.trace({i}) | {x} * np.ndim({x}) | {x} + np.size({x}) | {x}[np.ix_({j})]
{q}[np.tril_indices_from({q})] | {q}[np.triu_indices_from({q}, 1)]
{q}[np.diag_indices_from({q})] | np.shape({x})[0] * {d} | np.zeros_like({x}) + {k}
np.ones_like({d}, dtype='int8') | np.full_like({x}, {k}) | np.empty_like({x}).shape == ()
np.full((2, 3), {k}) + {p} | np.arange({p} + 2) * {k} | np.eye(3, k={k}) | np.identity({p})
np.tri(2, 3, {k}) | np.zeros((2, {p})) | np.ones(({p}, 1), 'int16')
{o} = np.indices((2, {p}))[0] | np.array([{k}, {p}]) | np.asarray({x}) | np.asanyarray({x})
np.ascontiguousarray({x}) | np.asfortranarray({m}) | np.array({x}) | np.require({x}, 'complex64')
np.asarray_chkfinite({i}) | np.empty((2, {p})).shape[1] * {i} | np.array([{x}, {z}])
np.packbits({i}) | np.packbits({b}, axis={a}) | np.unpackbits({i}.astype('uint8'), axis={a})
np.astype({x}, 'complex128') | np.delete({d}, 0, axis={a}) | np.insert({d}, 1, {k}, axis={a})
np.insert({d}, [0, 1], {k}, axis={a}) | np.lib.stride_tricks.sliding_window_view({d}, 2, axis={a})
np.r_[{v}, {k}, 0:3] | np.c_[{v}, {z}] | np.sort({n}, axis=None) | np.sort({d}, axis={a})
np.argsort({d}, axis={a}, kind='stable') | np.lexsort(({v}, {z}))
np.searchsorted(np.sort({v}), {n}) | np.digitize({n}, [-1, 0, 2]) | np.partition({v}, 1)[1]
np.sort_complex({n}) | np.sort(np.argpartition({v}, 0)[:1] * 0)
np.bincount(np.abs({i}.ravel()) % 5, minlength=6)
np.ravel_multi_index((np.abs({i}) % 3, 1), (3, 4))
{o} = np.unravel_index(np.abs({i}) % 6, (2, 3))[1] | np.fft.fftshift({d}) | np.fft.ifftshift({d})
{o} = np.copy({x}); np.copyto({o}, {k}, where={b})
{o} = np.copy({x}); np.putmask({o}, {o} > 0, {k}) | {o} = np.copy({m}); np.fill_diagonal({o}, {k})
{o} = np.copy({d}); np.put({o}, {j}, {k})
{o} = np.copy({d}); np.put_along_axis({o}, np.zeros_like({d}, int)[:1], {k}, axis=0)
{o} = np.copy({x}); np.place({o}, {o} > 0, [{k}]) | {o} = np.copy({d}); {o}[{j}] = {k} | {d}[{j}]
{o} = np.copy({d}); {o}[1:] = {o}[:-1] | {o} = np.copy({x}); {o}[{x} > 0] = {k}
{o} = np.copy({i}); {o} += {k} | {o} = np.copy({d}); {o}[..., ::2] *= {k}
{o} = np.copy({d}); {o}.T[0] = {k} | {o} = np.copy({d}); {o}.flat[0] = {k}
{o} = np.copy({i}); np.add.at({o}, {j}, {p}) if {o}.dtype != 'uint64' else None
{o} = np.copy({d}); np.maximum.at({o}, {j}, {p}) if {o}.dtype.kind in 'if' else None
{o} = np.copy({x}); np.add({x}, {y}, out={o}, where={b})
{o} = np.copy({x}); np.negative({x}, out={o}) | {d}[::-1] | {d}[..., None] | {d}[0] | {d}[-1:]
{m}[:, 1:] | {m}.T | {x}.reshape(-1) | {d}[..., ::2] | {x}.flatten() | {x}.copy()
{i}.astype('float32') | {i}.astype('int8') | {b}.astype({l}) | {f}.astype('float64')
{i}.view('int8') if {i}.itemsize == 1 else {i} | {c}.conj() | {x} != {y} | ~{b} | {i} % {p}
{i}.copy().view('uint8') if {i}.ndim else {i} | {x}.T.ravel('K') | {m}.ravel('A')
{o} = {i}.copy(); {o}.reshape(-1).view('int8')[::2] = {k}
np.fromiter((2 * v for v in {v}), {v}.dtype) | np.einsum('ij->ji', {m}) | max({r}, {k}) * {x}
{i} // {p} | abs({x}) | np.cumulative_sum({i}, axis={a})
np.cumulative_prod({i}, axis={a}, include_initial=True) | np.dot({i}, {i}) | np.vdot({i}, {i})
np.inner({i}, {i}) | np.outer({i}, {i}) | {m} @ {m}.T if {m}.dtype.kind in 'iub' else {m}
np.tensordot({i}, {i}, 1) | np.einsum('ij,ij->j', {m}, {m}) if {m}.dtype.kind in 'iu' else {m}
np.linalg.outer({v}, {v}) | np.can_cast({x}, 'float32') | np.result_type({x}, {y}) == {x}.dtype
np.iscomplexobj({x}) | np.isrealobj({x}) | np.common_type({f}, {n}) == np.float64
np.min_scalar_type({x}) == 'float64' | np.shares_memory({x}, {y}) | np.may_share_memory({x}, {y})
np.fromfunction(lambda i, j: i + {k} * j, (2, 3)) | np.diag_indices(2)[0] * {k}
np.apply_over_axes(np.max, {d}, [0]) | np.vectorize(lambda u: u + {k})({x})
[u for _, u in np.ndenumerate({v})][0] | np.broadcast_shapes(np.shape({x}), (1,))[-1] * {x}
np.linalg.matrix_transpose({m}) | np.linalg.diagonal({m})
len(np.einsum_path('ij,kj', {m}, {m})[0]) * {k}
"""

_ROUNDED = """
np.median({n}) | np.median({d}, axis={a}) | np.percentile({n}, 30) | np.quantile({n}, 0.25)
np.nanmedian({n}) | np.nanpercentile({n}, [10, 50]) | np.nanquantile({n}, 0.75)
np.sum({x}) | np.sum({x}, axis={a}, keepdims=True) | np.prod({d}, axis={a})
np.mean({x}, axis={a}) | np.var(np.arctan({n}), axis={a}) | np.std(np.sin({n}))
np.average({d}, axis={a})
np.nansum({d}, axis={a}) | np.nanprod({x}) | np.nanmean({d}, axis={a}) | np.nanvar(np.cos({n}))
np.nanstd(np.sin({n}), axis={a}) | np.nancumsum({d}, axis={a}) | np.nancumprod({x})
np.cumsum({d}, axis={a}) | np.cumprod({x}) | np.trace({m}) | np.linalg.trace({m})
np.interp({n}, [-1.0, 0.0, 2.0], [0.5, 1.0, -3.0]) | np.convolve({v}, {v})
np.convolve({v}, [1, 2, 1], 'same') | np.correlate({v}, {v}, 'full')
np.correlate({v}, [1.0, 2.0], 'valid') | np.round({n}, 2) | np.around({n}, {k})
np.isclose({n}, {n}) | np.allclose({n}, {y}) | np.dot({m}, {m}.T) | np.dot({x}, {r})
np.vdot({x}, {x}) | np.inner({v}, {v}) | np.inner({m}, {m}) | np.outer({x}, {y})
np.tensordot({m}, {m}) | np.einsum('ij,kj->ik', {m}, {m}) | np.einsum('...i,...i->...', {d}, {z})
np.einsum('ij->j', {m}) | np.matmul({m}, {m}.T) | np.vecdot({d}, {z}) | np.matvec({m}, {m}[0])
np.vecmat({m}[:, 0], {m}) | np.linalg.matmul({m}, {m}.T) | np.linalg.vecdot({d}, {z})
np.linalg.tensordot({m}, {m}) | np.linalg.multi_dot([{m}, {m}.T, {m}])
np.linalg.matrix_power({q}, {p}) | np.linalg.norm({x}) | np.linalg.norm({m}, axis={a})
np.linalg.norm({v}, 1) | np.linalg.vector_norm({d}, axis={a}) | np.linalg.matrix_norm({m})
np.linalg.norm({m}, np.inf) | np.sinc({n}) | np.angle({x}) | np.gradient({v})
np.gradient({d}, axis={a}) | np.gradient({v}, {r}, edge_order=2) | np.trapezoid({d}, axis={a})
np.trapezoid({v}, dx={r}) | np.unwrap({n}) | np.vander({v}, {p}) | np.polyval({v}, {x})
np.polyadd({v}, {v}) | np.polysub({v}, [1.0, 2]) | np.polyder({v}) | np.polyint({v})
np.poly(np.real({v})[:4]) | np.cov({m}) | np.corrcoef({m}) | np.cov({v}) | np.i0({n})
np.apply_along_axis(np.cumsum, {a}, {d}) | np.cumulative_sum({v})
np.cumulative_prod({d}, axis={a}) | np.linspace({k}, {p}, 4) * {x} if np.ndim({x}) == 0 else {x}
np.linspace({v}, {z}, 3) | np.logspace({k}, 1, 3) | np.geomspace(1.0, {p} + 1.0, 3)
np.hanning({p} + 1) | np.hamming({p}) | np.blackman(4) | np.bartlett({p} + 2) | np.kaiser(4, {r})
np.linalg.norm({m}, 1) | {f} ** 2 | {x} ** 3 | {f} ** 0.5 | {x} * {r} | {x} + {r} | {x} / {p}
np.add({x}, {y}, dtype='complex128') | {m} @ {m}.T | {f}.mean(axis={a}) | {f}.std() | {x}.sum()
{x}.prod(axis={a}) | np.ptp({d}, axis={a}) | {f}.astype('float16') | {f}.astype('float32')
{x}.dot({z}.T) | {o} = np.copy({f}); {o} *= {r}
{o} = np.copy({f}); {o}[...] = np.sqrt(np.abs({f})) | np.exp(-np.square({f})) / {p}
1 / (1 + np.exp(-{f})) | {f} - np.max({f}, axis={a}, keepdims=True) | np.tanh({f}) * {z} + {r}
np.fft.fft(np.isfinite({d}), axis={a}).real + 99 | np.fft.ifft(np.isfinite({v}), 6).imag + 9
np.fft.rfft(np.isfinite({v})).real + 99 | np.fft.irfft(np.isfinite({v}), 5) + 9
np.fft.hfft(np.isfinite({d}), 4, {a}) + 99 | np.fft.ihfft(np.isfinite({v})).imag + 9
np.fft.fft2(np.isfinite({m})).imag + 99 | np.fft.ifft2(np.isfinite({m}), (2, 6)).real + 9
np.fft.rfft2(np.isfinite({m})).real + 99 | np.fft.irfft2(np.isfinite({m}), (3, 4)) + 9
np.fft.fftn(np.isfinite({d})).real + 99 | np.fft.ifftn(np.isfinite({d}), norm='ortho').imag + 9
np.fft.rfftn(np.isfinite({d})).imag + 99 | np.fft.irfftn(np.isfinite({m}), (2, 3)) + 9
np.log1p(np.abs({x})) | np.polynomial.polynomial.polyval({x}, {v})
np.polynomial.chebyshev.chebval({x}, {v}[:4])
"""


def _split(text: str) -> list[str]:
    return [part.strip() for line in text.split("\n") for part in line.split(" | ") if part.strip()]


# W: a well-conditioned matrix. Solutions may be zero but for noise of any sign: 9 drowns it.
_WELL = "(np.tanh(np.nan_to_num(np.resize(np.real({x}), (3, 3)).astype('d'))) + 9 * np.eye(3))"
_SOLVED = """
inv(W) + 9 | solve(W, W[0]) + 9 | det(W) | slogdet(W)[1] | cholesky(W @ W.T) + 9 | eigh(W)[0]
eigvalsh(W) | svd(W)[1] | svdvals(W) | pinv(W) + 9 | lstsq(W, W[0])[0] + 9 | cond(W)
matrix_rank(W) | qr(W)[1] + 99 | tensorinv(W.reshape(3, 3, 1), 1) + 9 | tensorsolve(W, W[0]) + 9
"""


def _solved() -> list[str]:
    return [f"np.linalg.{text}".replace("W", _WELL) for text in _split(_SOLVED)]


EXACT = [*_split(_EXACT), *_ufuncs(exact=True)]
ROUNDED = [*_split(_ROUNDED), *_solved(), *_ufuncs(exact=False)]

# Traced functions that no statement calls.
LEFT_OUT = {
    "row_stack": "another name of vstack, leaving NumPy",
    "trapz": "the name that trapezoid had before NumPy 2",
    "broadcast": "an object of shapes, used by NumPy's own functions",
    "vectorize": "called, as a type",
    "_ones_like": "a ufunc without a public name, that np.ones_like stands for",
}
