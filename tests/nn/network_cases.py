"""Calls of `jitops.nn`, each with PyTorch's name for the same, or a reference in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops import nn

RNG = np.random.default_rng(11)


def arr(*shape: int) -> Any:
    return (RNG.standard_normal(shape) * 2).astype(np.float32)


X, ROWS, IMAGE, LINE = arr(3, 5), arr(2, 4, 16), arr(2, 6, 9, 8), arr(2, 4, 11)
EDGES = np.array([-np.inf, -1e30, -100, -3.0, -0.0, 0.0, 0.5, 3.0, 100, 1e30, np.inf, np.nan], "f4")
Q, K, V = arr(2, 3, 5, 8), arr(2, 3, 7, 8), arr(2, 3, 7, 4)
LABELS = np.array([1, 0, 4])
SEEN = RNG.random((5, 7)) < 0.7
SEEN[:, 0] = True
W = {
    "w": arr(4, 6, 3, 2), "g": arr(6, 2, 3, 3), "d": arr(6, 1, 3, 3), "one": arr(5, 6, 1, 1),
    "l": arr(3, 4, 3), "b": arr(4),
}  # fmt: skip
CHANNELS = [np.abs(arr(6)) + 0.5 for _ in range(4)]

# name -> (call, arguments, expression of torch over the same arguments, "t" and "F" in scope)
CASES: dict[str, tuple[Any, tuple[Any, ...], str]] = {}


def case(name: str, call: Any, args: tuple[Any, ...], torch: str) -> None:
    CASES[name] = (call, args, torch)


def _activations() -> None:
    same = """relu relu6 leaky_relu elu selu silu mish softplus softsign gelu hard_tanh:hardtanh
        hard_sigmoid:hardsigmoid hard_swish:hardswish log_sigmoid:logsigmoid"""
    for names in same.split():
        ours, _, theirs = names.partition(":")
        for label, x in (("", X), (" at the edges", EDGES)):
            case(ours + label, getattr(nn, ours), (x,), f"F.{theirs or ours}(*args)")
    for label, x in (("", X), (" at the edges", EDGES)):
        case("sigmoid" + label, nn.sigmoid, (x,), "t.sigmoid(*args)")
        case("erf" + label, nn.erf, (x,), "t.erf(*args)")
    case("gelu tanh", lambda x: nn.gelu(x, "tanh"), (X,), "F.gelu(*args, approximate='tanh')")
    case("leaky 0.2", lambda x: nn.leaky_relu(x, 0.2), (X,), "F.leaky_relu(*args, 0.2)")
    case("elu 2", lambda x: nn.elu(x, 2.0), (X,), "F.elu(*args, 2.0)")
    case("softplus 3", lambda x: nn.softplus(x, 3.0), (X,), "F.softplus(*args, 3.0)")
    for axis in (-1, 0):
        for name in ("softmax", "log_softmax", "logsumexp"):
            f = getattr(nn, name)
            home = "t" if name == "logsumexp" else "F"
            case(f"{name} {axis}", lambda x, f=f, a=axis: f(x, a), (X * 40,),
                 f"{home}.{name}(*args, dim={axis})")  # fmt: skip


def _layers() -> None:
    case("linear", nn.linear, (ROWS, arr(3, 16), arr(3)), "F.linear(*args)")
    case("linear alone", nn.linear, (X, arr(2, 5)), "F.linear(*args)")
    case("embedding", nn.embedding, (np.array([[0, 2], [1, 1]]), X), "F.embedding(*args)")
    case("one_hot", lambda x: nn.one_hot(x, 6), (LABELS,), "F.one_hot(args[0], 6).float()")
    case("dropout", lambda x, m: nn.dropout(x, m, 0.25), (X, X > 0),
         "t.where(args[1], args[0] / 0.75, 0)")  # fmt: skip
    both = "F.scaled_dot_product_attention(args[0], args[1], args[2]"
    case("attention", nn.attention, (Q, K, V), both + ")")
    case("attention causal", lambda q, k, v: nn.attention(q, k, v, causal=True), (Q, K, V),
         both + ", is_causal=True)")  # fmt: skip
    case("attention bools", lambda *a: nn.attention(*a), (Q, K, V, SEEN), both + ", args[3])")
    case("attention added", lambda *a: nn.attention(*a), (Q, K, V, arr(5, 7)), both + ", args[3])")
    case("attention scale", lambda *a: nn.attention(*a, scale=0.3), (Q, K, V),
         both + ", scale=0.3)")  # fmt: skip


def _normalisations() -> None:
    case("layer_norm", nn.layer_norm, (ROWS, arr(16), arr(16)),
         "F.layer_norm(args[0], (16,), args[1], args[2])")  # fmt: skip
    case("layer_norm axes", lambda x: nn.layer_norm(x, axis=(1, 2), eps=1e-3), (ROWS,),
         "F.layer_norm(args[0], (4, 16), eps=1e-3)")  # fmt: skip
    case("rms_norm", nn.rms_norm, (ROWS, arr(16)), "F.rms_norm(args[0], (16,), args[1], 1e-6)")
    case("batch_norm", nn.batch_norm, (IMAGE, *CHANNELS),
         "F.batch_norm(args[0], args[1], args[2], args[3], args[4])")  # fmt: skip
    case("group_norm", lambda x, w, b: nn.group_norm(x, 3, w, b), (IMAGE, *CHANNELS[:2]),
         "F.group_norm(args[0], 3, args[1], args[2])")  # fmt: skip
    case("cross_entropy", nn.cross_entropy, (X, LABELS), "F.cross_entropy(*args)")
    case("cross_entropy smooth", lambda x, y: nn.cross_entropy(x, y, label_smoothing=0.1),
         (X, LABELS), "F.cross_entropy(*args, label_smoothing=0.1)")  # fmt: skip
    case("cross_entropy none", lambda x, y: nn.cross_entropy(x, y, "none"), (X, LABELS),
         "F.cross_entropy(*args, reduction='none')")  # fmt: skip
    case("cross_entropy probabilities", nn.cross_entropy, (X, np.abs(X)), "F.cross_entropy(*args)")
    case("mse", nn.mse, (X, X[::-1].copy()), "F.mse_loss(*args)")


def _convolutions() -> None:
    options: dict[str, tuple[str, dict[str, Any]]] = {
        "plain": ("w", {}), "stride": ("w", {"stride": (2, 1), "padding": 1}),
        "dilation": ("w", {"dilation": 2, "padding": (2, 1)}), "groups": ("g", {"groups": 3}),
        "same": ("g", {"groups": 3, "padding": "same"}), "depthwise": ("d", {"groups": 6}),
        "depthwise stride": ("d", {"groups": 6, "stride": 2, "padding": 1}), "one": ("one", {}),
        "valid": ("w", {"padding": "valid"}),
    }  # fmt: skip
    for name, (weight, more) in options.items():
        case(f"conv2d {name}", lambda x, w, more=more: nn.conv2d(x, w, **more), (IMAGE, W[weight]),
             f"F.conv2d(*args, **{more!r})")  # fmt: skip
    case("conv2d bias", nn.conv2d, (IMAGE, W["w"], W["b"]), "F.conv2d(*args)")
    case("conv1d", lambda x, w: nn.conv1d(x, w, stride=2, padding=2), (LINE, W["l"]),
         "F.conv1d(*args, stride=2, padding=2)")  # fmt: skip
    for kind in ("max", "avg"):
        one, two = getattr(nn, kind + "_pool1d"), getattr(nn, kind + "_pool2d")
        case(f"{kind}_pool2d", lambda x, f=two: f(x, 2), (IMAGE,), f"F.{kind}_pool2d(*args, 2)")
        case(f"{kind}_pool2d stride", lambda x, f=two: f(x, (3, 2), (2, 1), 1), (IMAGE,),
             f"F.{kind}_pool2d(*args, (3, 2), (2, 1), 1)")  # fmt: skip
        case(f"{kind}_pool1d", lambda x, f=one: f(x, 3, 2), (LINE,),
             f"F.{kind}_pool1d(*args, 3, 2)")  # fmt: skip


_activations()
_layers()
_normalisations()
_convolutions()
