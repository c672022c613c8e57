"""Whole programs, as people write them: layers, losses, optimisers, stencils, solvers."""

import numpy as np
import pytest
from against_numpy import check

rng = np.random.default_rng(0)


def f32(*shape):
    return rng.random(shape).astype("float32")


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm(x, gain, bias, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(x.var(-1, keepdims=True) + eps) * gain + bias


def rms_norm(x):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def attention(q, k, v):
    return softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ v


def perceptron(x, layers):
    for weights, bias in layers[:-1]:
        x = np.maximum(x @ weights + bias, 0)
    weights, bias = layers[-1]
    return softmax(x @ weights + bias)


def adam(p, gradient, m, v, step, rate=1e-3, b1=0.9, b2=0.999):
    m[:] = b1 * m + (1 - b1) * gradient
    v[:] = b2 * v + (1 - b2) * gradient * gradient
    p -= rate * (m / (1 - b1**step)) / (np.sqrt(v / (1 - b2**step)) + 1e-8)
    return p


def cross_entropy(logits, labels):
    shifted = logits - logits.max(1, keepdims=True)
    total = np.log(np.exp(shifted).sum(1))
    return (total - shifted[np.arange(len(labels)), labels]).mean()


def one_hot(labels, count):
    out = np.zeros((len(labels), count))
    out[np.arange(len(labels)), labels] = 1
    return out, np.eye(count)[labels]


def cluster_step(points, centers):
    nearest = ((points[:, None] - centers[None]) ** 2).sum(-1).argmin(1)
    moved = np.zeros_like(centers)
    for k in range(len(centers)):
        mine = nearest == k
        moved[k] = (points * mine[:, None]).sum(0) / np.maximum(mine.sum(), 1)
    return moved, nearest


def escape_times(re, im, steps):
    c = re + im[:, None] * 1j
    z = np.zeros_like(c)
    count = np.zeros(c.shape, dtype=np.int64)
    for n in range(steps):
        inside = np.abs(z) < 2
        count[inside] = n
        z[inside] = z[inside] ** 2 + c[inside]
    return z, count


def forward_substitution(lower, b):
    x = np.empty_like(b)
    for i in range(len(b)):
        x[i] = (b[i] - np.dot(lower[i, :i], x[:i])) / lower[i, i]
    return x


def wave_step(u, before, speed):
    lap = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
    after = np.zeros_like(u)
    after[1:-1, 1:-1] = 2 * u[1:-1, 1:-1] - before[1:-1, 1:-1] + speed**2 * lap
    before[...] = u
    u[...] = after


def binned_means(values, radius, bins):
    top = radius.max()
    out = np.zeros(bins)
    for i in range(bins):
        mine = np.logical_and(top * i / bins <= radius, radius < top * (i + 1) / bins)
        out[i] = values[mine].mean()
    return out


def repulsion(positions, softening):
    apart = positions[:, None] - positions[None]
    square = (apart**2).sum(-1) + softening**2
    square[square > 0] = square[square > 0] ** -1.5
    return (apart * square[..., None]).sum(1), np.triu(square, 1).sum()


def mixing_bits(x):
    y = x.astype(np.uint32)
    return (y >> 16) ^ (y & 0xFFFF), ~y, y << np.uint32(3)


def by_name(x, mode="max"):
    return getattr(x, mode)(), max(x.shape), np.float32(3) * x


PROGRAMS = [
    (softmax, f32(4, 8)),
    (layer_norm, f32(4, 8), np.ones(8, "float32"), np.zeros(8, "float32")),
    (rms_norm, f32(4, 8)),
    (attention, f32(2, 3, 5, 4), f32(2, 3, 5, 4), f32(2, 3, 5, 4)),
    (perceptron, f32(3, 4), [(f32(4, 4), f32(4)), (f32(4, 2), f32(2))]),
    (adam, *(rng.random(4) for _ in range(4)), 3),
    (cross_entropy, rng.random((3, 4)), np.array([0, 2, 1])),
    (one_hot, np.array([0, 2, 1]), 4),
    (cluster_step, rng.random((10, 2)), rng.random((3, 2))),
    (escape_times, np.linspace(-2, 1, 5), np.linspace(-1, 1, 4), 4),
    (forward_substitution, np.tril(rng.random((5, 5))) + np.eye(5), rng.random(5)),
    (wave_step, rng.random((6, 7)), rng.random((6, 7)), 0.5),
    (binned_means, rng.random(50), rng.random(50), 4),
    (repulsion, rng.random((5, 3)), 0.1),
    (mixing_bits, np.arange(9)),
    (by_name, rng.random((3, 2)), "min"),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p[0].__name__)
def test_a_program_gives_what_numpy_gives(program):
    fn, *args = program
    check(fn, *args, rtol=1e-4)


def test_infinite_parts_of_complex_numbers_stay_apart():
    z = np.array([complex(1, np.inf), complex(np.nan, 2), complex(-np.inf, 0)])
    check(lambda z: (z.conj(), z.real + z.imag, np.isfinite(z), abs(z)), z)
