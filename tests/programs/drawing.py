"""Draw a random program: statements that NumPy accepts, and that rounding errors do not upset.

Each value is computed three times: as it is, and twice with every rounded step's operands and
results moved by a few units in the last place, and NaN of either sign. What then differs is what a
correct kernel may differ in: it gives the tolerance, and a statement whose integers, signs or
infinities depend on it (a floor of a rounded sum, the sign of a NaN) is left out.
"""

from __future__ import annotations

import random
import re
import warnings
from typing import Any

import numpy as np
from statements import EXACT, ROUNDED

_DTYPES = """
bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64
complex128
"""
DTYPES = _DTYPES.split()
SHAPES = [(), (1,), (3,), (4,), (7,), (17,), (2, 3), (3, 3), (4, 1), (3, 4), (1, 5), (0, 3)]
SHAPES.append((2, 3, 4))
SPECIAL = (0.0, -0.0, np.nan, np.inf, -np.inf)
LARGEST = 400  # elements of a value
ULPS = 8
WORST = {2: 3e-2, 4: 1e-3, 8: 1e-6, 16: 1e-6}  # how far moved values may be, per bytes

Value = tuple[Any, Any, Any]


class Program:
    """Its arguments and statements; `values` are NumPy's, with the two moved copies."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.arguments: list[Any] = []
        self.statements: list[tuple[str, str]] = []  # name of the result, text
        self.values: dict[str, Value] = {}
        self.results: list[str] = []

    def source(self) -> str:
        """The program, without the statements that its results do not need."""
        names = ", ".join(f"a{i}" for i in range(len(self.arguments)))
        body = "".join(f"    {text}\n" for text in self.needed())
        return f"def program({names}):\n{body}    return {', '.join(self.results)},\n"

    def needed(self) -> list[str]:
        wanted, kept = set(self.results), []
        for name, text in reversed(self.statements):
            if name in wanted:
                kept.append(text)
                wanted.update(re.findall(r"\b[av]\d+\b", text))
        return kept[::-1]

    def function(self) -> Any:
        scope: dict[str, Any] = {"np": np}
        exec(self.source(), scope)
        return scope["program"]

    def __repr__(self) -> str:
        lines = [f"a{i} = np.{a!r}" for i, a in enumerate(self.arguments)]
        return "\n".join([f"# seed {self.seed}", *lines, self.source()])


def draw(seed: int, steps: int = 6) -> Program:
    """The program of a seed."""
    rng = random.Random(seed)
    program = Program(seed)
    for i in range(rng.randint(1, 3)):
        argument = _argument(rng)
        program.arguments.append(argument)
        program.values[f"a{i}"] = (argument,) * 3
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tried = 0
        wanted = rng.randint(1, steps)
        while len(program.statements) < wanted and tried < 60:
            tried += 1
            _step(program, rng)
    made = [name for name, _ in program.statements] or ["a0"]
    program.results = sorted({made[-1], rng.choice(made)})
    return program


def _argument(rng: random.Random) -> Any:
    dtype = np.dtype(rng.choice(DTYPES))
    shape = rng.choice(SHAPES)
    draws = np.random.default_rng(rng.randrange(1 << 30))
    if dtype.kind == "b":
        x = draws.random(shape) < 0.5
    elif dtype.kind in "iu":
        x = draws.integers(0 if dtype.kind == "u" else -6, 7, shape)
    elif dtype.kind == "c":
        x = draws.integers(-4, 5, shape) + 1j * draws.integers(-4, 5, shape)
    else:
        x = draws.integers(-12, 13, shape) / 4
        if rng.random() < 0.15 and x.size > 1:
            x.flat[0] = rng.choice(SPECIAL)
    x = np.asarray(x).astype(dtype)
    return np.asfortranarray(x) if rng.random() < 0.2 and x.ndim > 1 else x


def _step(program: Program, rng: random.Random) -> None:
    rounded = rng.random() < 0.4
    template = rng.choice(ROUNDED if rounded else EXACT)
    name = f"v{len(program.statements)}"
    text = _filled(template, program, rng, name)
    if text is None:
        return
    used = re.findall(r"\b[av]\d+\b", text)
    # Products and quotients of complex numbers are several operations, in an order of choice.
    rounded = rounded or any(program.values[u][0].dtype.kind == "c" for u in used if u != name)
    value = _computed(program, text, name, rounded)
    if value is not None and _steady(value):
        program.statements.append((name, text))
        program.values[name] = value


# --- placeholders -------------------------------------------------------------------------------

KINDS = {"x": "biufc", "n": "biuf", "f": "f", "i": "iu", "b": "b", "c": "c", "d": "biufc",
         "v": "biufc", "m": "biufc", "q": "biufc"}  # fmt: skip
RANKS = {"d": (1, 9), "v": (1, 1), "m": (2, 2), "q": (2, 2)}
# How a value of the kind is made where there is none: exactly, whatever the statement is.
MADE = {"b": "({x} > 0)", "i": "({x} > 0).astype('int32')", "f": "np.sqrt(np.abs({n}))",
        "c": "({n} + 1j)", "v": "np.ravel({x})", "m": "np.atleast_2d({x})",
        "d": "np.atleast_1d({x})", "q": "np.resize({x}, (3, 3))", "n": "np.real({x})"}  # fmt: skip


def _filled(template: str, program: Program, rng: random.Random, name: str) -> str | None:
    """The template with its placeholders replaced; the same letter is the same value."""
    chosen: dict[str, str] = {"o": name}
    first = ""
    for letter in dict.fromkeys(re.findall(r"\{(\w)\}", template)):
        if letter in chosen:
            continue
        text = _value(letter, program, rng, first) if letter in KINDS else None
        if text is None:
            text = _literal(letter, program, rng, first)
        if text is None:
            return None
        chosen[letter] = text
        first = first or (text if letter in KINDS else "")
    text = re.sub(r"\{(\w)\}", lambda m: chosen[m[1]], template)
    return text if "{o}" in template else f"{name} = {text}"


def _value(letter: str, program: Program, rng: random.Random, first: str) -> str | None:
    low, high = RANKS.get(letter, (0, 9))
    fits = [
        n
        for n, (x, _, _) in program.values.items()
        if x.dtype.kind in KINDS[letter] and low <= x.ndim <= high and x.size
        and (letter != "q" or x.shape[0] == x.shape[1])
    ]  # fmt: skip
    if letter == "b" and first:  # a mask has to fit
        return f"({first} > 0)" if first in program.values else None
    if letter == "x" and rng.random() < 0.1:
        fits = list(program.values)
    if fits:
        return rng.choice(fits)
    made = MADE.get(letter)
    if made is None:
        return None
    inner = re.findall(r"\{(\w)\}", made)[0]
    source = _value(inner, program, rng, "")
    return None if source is None else made.replace(f"{{{inner}}}", source)


def _literal(letter: str, program: Program, rng: random.Random, first: str) -> str | None:
    simple = {"k": str(rng.randint(-2, 2)), "p": str(rng.randint(1, 3)),
              "r": repr(rng.choice((0.5, 1.5, -2.25, 3.0, 0.1))),
              "l": repr(rng.choice(("float32", "float64", "float16")))}  # fmt: skip
    if letter in simple:
        return simple[letter]
    x = program.values.get(first, (None,))[0]
    if x is None:
        return "0" if letter == "a" else None
    if letter == "a":
        return str(rng.randrange(-x.ndim, x.ndim)) if x.ndim else "None"
    if letter in "yzt":
        return _partner(letter, program, rng, x, first)
    if letter == "j":
        n = x.shape[0] if x.ndim else 1
        return str([rng.randrange(-n, n) for _ in range(rng.randint(1, 3))]) if n else None
    if letter == "e":
        divisors = [d for d in (1, 2, 3, 4) if x.size % d == 0]
        d = rng.choice(divisors)
        return rng.choice((f"({d}, -1)", f"(-1, {d})", "-1"))
    return None


def _partner(letter: str, program: Program, rng: random.Random, x: Any, first: str) -> str | None:
    if letter == "y" and rng.random() < 0.2:
        return str(rng.randint(-2, 3)) if rng.random() < 0.6 else repr(rng.choice((0.5, -1.5)))
    shape = x.shape

    def fits(other: Any) -> bool:
        if letter == "y":
            lead = len(shape) - other.ndim
            return lead >= 0 and all(m in (1, n) for m, n in zip(other.shape, shape[lead:]))
        return other.shape == shape and (letter == "z" or other.dtype == x.dtype)

    found = [n for n, (v, _, _) in program.values.items() if fits(v)]
    return rng.choice(found) if found else first


# --- values -------------------------------------------------------------------------------------


def _computed(program: Program, text: str, name: str, rounded: bool) -> Value | None:
    found = []
    code = compile(text, "<program>", "exec")
    used = set(re.findall(r"\b[av]\d+\b", text)) - {name}
    for n in range(3):
        scope: dict[str, Any] = {"np": np}
        for other in used:
            value = program.values[other][n]
            scope[other] = _moved(value, n) if rounded and n else value
        try:
            exec(code, scope)
        except Exception:  # NumPy does not take it: there is nothing to compare with
            return None
        value = scope[name]
        if isinstance(value, (bool, int, float, complex)):
            return None  # a Python number: the program would go on with another kind of value
        if isinstance(value, (tuple, list)) or not hasattr(value, "dtype"):
            value = np.asarray(value)
            if value.dtype.name not in DTYPES:
                return None
        if value.dtype.name not in DTYPES or value.size > LARGEST:
            return None
        value = _moved(value, n) if rounded and n else value
        found.append(_signed(value, n) if n else value)
    return found[0], found[1], found[2]


def _signed(x: Any, which: int) -> Any:
    """NaN with one sign here and the other there: which one an operation gives is not said."""
    if x.dtype.kind != "f" or not np.isnan(x).any():
        return x
    nan = np.copysign(np.asarray(np.nan, x.dtype), 1 if which == 1 else -1)
    signed = np.where(np.isnan(x), nan, x)
    return signed if isinstance(x, np.ndarray) else signed[()]


def _moved(x: Any, which: int) -> Any:
    """A float a few units in the last place away, one way here and the other way there.

    Not as far both ways, or products and sums of neighbours would not move.
    """
    if x.dtype.kind not in "fc" or not x.size:
        return x
    size = np.finfo(x.dtype).eps * ULPS
    signs = np.where((np.arange(x.size) + which).reshape(x.shape) % 2, 1, -1.5)
    moved = x * (1 + signs * size).astype(np.empty(0, x.dtype).real.dtype)
    return moved.astype(x.dtype) if x.ndim else x.dtype.type(moved)


def spread(value: Value) -> float:
    """How far the moved values are, at most."""
    x = value[0]
    if x.dtype.kind not in "fc" or not x.size:
        return 0.0
    worst = 0.0
    for other in value[1:]:
        finite = np.isfinite(x)
        apart = np.abs(np.asarray(other, "c16")[finite] - np.asarray(x, "c16")[finite])
        worst = max(worst, float(np.max(apart, initial=0)))
    return worst


def size(x: Any) -> float:
    """The largest finite magnitude."""
    finite = np.asarray(x)[np.isfinite(x)]
    return float(np.max(np.abs(finite.astype("c16")), initial=0))


def _steady(value: Value) -> bool:
    """Whether rounding errors leave the value's kind, shape, integers and infinities alone."""
    x = value[0]
    if x.dtype.kind == "c" and not np.isfinite(x).all():
        return False  # which parts are NaN is a matter of the formula
    for other in value[1:]:
        if other.dtype != x.dtype or other.shape != x.shape:
            return False
        if x.dtype.kind not in "fc":
            if not np.array_equal(x, other):
                return False
            continue
        finite = np.isfinite(x)
        if not np.array_equal(x[~finite], other[~finite], equal_nan=True):
            return False
        if not np.isfinite(other[finite]).all():
            return False
    if x.dtype.kind not in "fc":
        return True
    part = x.dtype.itemsize // (2 if x.dtype.kind == "c" else 1)
    return spread(value) <= WORST[part] * size(x)


def tolerance(value: Value) -> float:
    """What a result may differ in; 0 where no step rounds."""
    x = value[0]
    apart = spread(value)
    if not apart:
        return 0.0
    return 16 * apart + 64 * float(np.finfo(x.dtype).eps) * size(x)
