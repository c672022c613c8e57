"""Train a small network on handwritten digits, with compiled ops inside the training loop.

    python examples/training_script.py            # NumPy
    python examples/training_script.py --torch    # the same ops, given PyTorch's tensors directly

Matrix products stay where they are good already (NumPy, PyTorch); what surrounds them, otherwise
ten passes over memory each, is three ops. Gradients are written by hand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits  # 1797 images, a file in that package

from jitops import jitop

HIDDEN, BATCH = 256, 128


@jitop
def activate(x, bias):
    """GELU of x + bias, and its derivative (tanh form; Hendrycks and Gimpel, 2016)."""
    x = x + bias
    inner = np.tanh(0.7978845608 * (x + 0.044715 * x * x * x))
    slope = 0.7978845608 * (1 + 3 * 0.044715 * x * x)
    return 0.5 * x * (1 + inner), 0.5 * (1 + inner) + 0.5 * x * (1 - inner * inner) * slope


@jitop
def cross_entropy(logits, bias, targets):
    """Mean cross entropy of softmax(logits + bias), and its gradient; targets are one-hot rows."""
    logits = logits + bias
    shifted = logits - logits.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    total = weights.sum(axis=1, keepdims=True)
    loss = ((np.log(total) - shifted) * targets).sum() / len(logits)
    return loss, (weights / total - targets) / len(logits)


@jitop
def adam(parameter, gradient, mean, square, size):
    """Adam (Kingma and Ba, 2015), in place: parameter, mean and square are updated."""
    mean *= 0.9
    mean += 0.1 * gradient
    square *= 0.999
    square += 0.001 * gradient * gradient
    parameter -= size * mean / (np.sqrt(square) + 1e-8)


OPS = (activate, cross_entropy, adam)
Ops = tuple[Callable[..., Any], ...]


def train(images: Any, targets: Any, epochs: int, ops: Ops, like: Callable[..., Any]) -> Any:
    """The parameters after so many epochs, and the loss of the last batch."""
    activate, cross_entropy, adam = ops
    random = np.random.default_rng(0)
    sizes = (images.shape[1], HIDDEN), (HIDDEN,), (HIDDEN, 10), (10,)
    starts = [random.normal(0, 0.1, size).astype(np.float32) for size in sizes]
    w1, b1, w2, b2 = parameters = [like(start) for start in starts]
    moments = [(like(0 * start), like(0 * start)) for start in starts]
    step, loss = 0, 0.0
    for _ in range(epochs):
        for first in range(0, len(images) - BATCH + 1, BATCH):
            x, t = images[first : first + BATCH], targets[first : first + BATCH]
            hidden, slope = activate(x @ w1, b1)
            loss, error = cross_entropy(hidden @ w2, b2, t)
            back = (error @ w2.T) * slope
            gradients = x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)
            step += 1
            size = 0.002 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)  # another number each time
            for parameter, gradient, (mean, square) in zip(parameters, gradients, moments):
                adam(parameter, gradient, mean, square, size)
    return parameters, float(loss)


def accuracy(parameters: Any, images: np.ndarray, labels: np.ndarray) -> float:
    w1, b1, w2, b2 = (np.asarray(parameter) for parameter in parameters)
    hidden, _ = activate.eager(images @ w1, b1)
    return float((np.argmax(hidden @ w2 + b2, axis=1) == labels).mean())


def main() -> None:
    options = argparse.ArgumentParser(description="Train on digits with compiled ops.")
    options.add_argument("--torch", action="store_true", help="PyTorch's tensors and products")
    options.add_argument("--epochs", type=int, default=20)
    chosen = options.parse_args()
    like = torch_tensor() if chosen.torch else np.array

    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.data))
    images = (digits.data[order] / 16).astype(np.float32)
    labels = digits.target[order]
    targets = np.eye(10, dtype=np.float32)[labels]
    split = 1437  # the last fifth is for the test
    data = like(images[:split]), like(targets[:split])
    kind = "PyTorch" if chosen.torch else "NumPy"
    print(f"{len(images)} digits, {chosen.epochs} epochs, batches of {BATCH}, {kind} arrays\n")

    train(*data, 1, OPS, like)  # compiles, or loads
    compiled = report("compiled ops", data, chosen.epochs, OPS, like, images, labels, split)
    if not chosen.torch:
        eager = tuple(op.eager for op in OPS)
        plain = report("plain NumPy", data, chosen.epochs, eager, like, images, labels, split)
        print(f"\n  NumPy took {plain / compiled:.1f} times as long")
    print()
    for op in OPS:
        counts = ", ".join(f"{name} {count}" for name, count in op.stats().items())
        print(f"  {op.__name__:<14} {counts}")


def report(
    what: str, data: Any, epochs: int, ops: Ops, like: Callable[..., Any], images: np.ndarray,
    labels: np.ndarray, split: int,
) -> float:  # fmt: skip
    """Train, print a line, and give the seconds it took."""
    start = time.perf_counter()
    parameters, loss = train(*data, epochs, ops, like)
    seconds = time.perf_counter() - start
    right = accuracy(parameters, images[split:], labels[split:])
    print(f"  {what:<14} {seconds:6.2f} s   loss {loss:.5f}   right on the test {right:.1%}")
    return seconds


def torch_tensor() -> Callable[..., Any]:
    try:
        import torch
    except ImportError:
        raise SystemExit("--torch needs PyTorch: python -m pip install torch") from None
    return torch.tensor


if __name__ == "__main__":
    main()
