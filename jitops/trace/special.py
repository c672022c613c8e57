"""The ufuncs and functions of `scipy.special` that array programs use, in primitives.

SciPy is never imported here: its functions are recognised when the program has it loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.graph.graph import Literal
from jitops.trace.raising import unsupported
from jitops.trace.recorder import Recorder

Rule = Callable[..., Any]


def _direct(op: str) -> Rule:
    return lambda f, *operands: f.emit(op, *operands)


def _number(value: float, like: Any) -> Literal:
    return Literal(value, like.type.dtype)


def _missing(f: Recorder, x: Any, y: Any) -> Any:
    return f.or_(f.isnan(x), f.isnan(y))


def _logit(f: Recorder, x: Any) -> Any:
    """``log(x / (1 - x))``, about one half by log1p, where the quotient is near one."""
    s = f.mul(f.sub(x, 0.5), 2)
    near = f.sub(f.log1p(s), f.log1p(f.neg(s)))
    far = f.log(f.div(x, f.sub(_number(1, x), x)))
    return f.select(f.lt(f.abs(s), 0.4), near, far)


def _log_expit(f: Recorder, x: Any) -> Any:
    return f.sub(f.minimum(x, 0), f.log1p(f.exp(f.neg(f.abs(x)))))


def _log_product(log: str) -> Rule:
    """``x * log(y)``, and 0 where x is 0 and y is not NaN."""

    def run(f: Recorder, x: Any, y: Any) -> Any:
        zero = f.and_(f.eq(x, 0), f.invert(f.isnan(y)))
        return f.select(zero, 0, f.mul(x, f.emit(log, y)))

    return run


def _entr(f: Recorder, x: Any) -> Any:
    value = f.neg(f.mul(x, f.log(x)))
    value = f.select(f.eq(x, 0), 0, f.select(f.lt(x, 0), _number(-math.inf, x), value))
    return f.select(f.isnan(x), x, value)


def _rel_entr(f: Recorder, x: Any, y: Any) -> Any:
    both = f.and_(f.gt(x, 0), f.gt(y, 0))
    zero = f.and_(f.eq(x, 0), f.ge(y, 0))
    value = f.mul(x, f.log(f.div(x, y)))
    value = f.select(both, value, f.select(zero, 0, _number(math.inf, x)))
    return f.select(_missing(f, x, y), _number(math.nan, x), value)


def _kl_div(f: Recorder, x: Any, y: Any) -> Any:
    value = f.add(f.sub(_rel_entr(f, x, y), x), y)
    outside = f.or_(f.or_(f.lt(x, 0), f.lt(y, 0)), f.and_(f.eq(y, 0), f.gt(x, 0)))
    value = f.select(outside, _number(math.inf, x), value)
    return f.select(_missing(f, x, y), _number(math.nan, x), value)


def _ndtr(f: Recorder, x: Any) -> Any:
    return f.mul(f.erfc(f.mul(x, -math.sqrt(0.5))), 0.5)


def _huber(f: Recorder, delta: Any, r: Any) -> Any:
    size = f.abs(r)
    square, line = f.mul(f.square(r), 0.5), f.mul(delta, f.sub(size, f.mul(delta, 0.5)))
    value = f.select(f.le(size, delta), square, line)
    return f.select(f.lt(delta, 0), _number(math.inf, r), value)


def _boxcox(f: Recorder, x: Any, power: Any) -> Any:
    log = f.log(x)
    return f.select(f.lt(f.abs(power), 1e-19), log, f.div(f.expm1(f.mul(power, log)), power))


def _inv_boxcox(f: Recorder, x: Any, power: Any) -> Any:
    raised = f.exp(f.div(f.log1p(f.mul(power, x)), power))
    return f.select(f.eq(power, 0), f.exp(x), raised)


# M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", 1988,
# PPND16: a rational function each for the centre, the flanks and the tails; 1 part in 10**16.
_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
     1.3314166789178437745e2, 3.3871328727963666080),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
     2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
     4.2313330701600911252e1, 1.0),
)  # fmt: skip
_FLANK = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
     1.27045825245236838258, 3.64784832476320460504, 5.76949722146069140550,
     4.63033784615654529590, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940,
     2.05319162663775882187, 1.0),
)  # fmt: skip
_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580,
     5.46378491116411436990, 6.65790464350110377720),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def _polynomial(f: Recorder, x: Any, coefficients: Sequence[float]) -> Any:
    out = f.add(f.mul(x, coefficients[0]), coefficients[1])
    for c in coefficients[2:]:
        out = f.add(f.mul(out, x), c)
    return out


def _ratio(f: Recorder, x: Any, pair: Any) -> Any:
    return f.div(_polynomial(f, x, pair[0]), _polynomial(f, x, pair[1]))


def _normal_point(f: Recorder, away: Any, tail: Any) -> Any:
    """The normal quantile of ``1/2 + away``, where ``tail`` is the smaller of it and its rest."""
    central = f.sub(_number(0.180625, away), f.square(away))
    centre = f.mul(away, _ratio(f, central, _CENTRE))
    r = f.sqrt(f.neg(f.log(tail)))
    flank, far = _ratio(f, f.sub(r, 1.6), _FLANK), _ratio(f, f.sub(r, 5.0), _TAIL)
    outer = f.select(f.le(r, 5.0), flank, far)
    outer = f.select(f.eq(tail, 0), _number(math.inf, tail), outer)
    outer = f.select(f.lt(away, 0), f.neg(outer), outer)
    value = f.select(f.le(f.abs(away), 0.425), centre, outer)
    return f.select(f.lt(tail, 0), _number(math.nan, tail), value)


def _rest(f: Recorder, x: Any) -> Any:
    """``1 - x``."""
    return f.sub(_number(1, x), x)


def _ndtri(f: Recorder, p: Any) -> Any:
    return _normal_point(f, f.sub(p, 0.5), f.minimum(p, _rest(f, p)))


def _erfinv(f: Recorder, x: Any) -> Any:
    point = _normal_point(f, f.mul(x, 0.5), f.mul(_rest(f, f.abs(x)), 0.5))
    return f.mul(point, math.sqrt(0.5))


def _erfcinv(f: Recorder, x: Any) -> Any:
    half = f.mul(x, 0.5)
    point = _normal_point(f, f.sub(half, 0.5), f.minimum(half, _rest(f, half)))
    return f.mul(point, -math.sqrt(0.5))


def _wide(rule: Rule) -> Rule:
    """float32 by way of float64."""

    def run(f: Recorder, *operands: Any) -> Any:
        dtype = operands[0].type.dtype
        return f.cast(rule(f, *(f.cast(x, np.dtype("float64")) for x in operands)), dtype)

    return run


def _i0(f: Any, x: Any) -> Any:
    value: Any = np.i0(f.wrap(x))
    return value.read()


RULES: dict[str, Rule] = {
    "erf": _direct("erf"),
    "erfc": _direct("erfc"),
    "gammaln": _direct("lgamma"),
    "expit": _direct("sigmoid"),
    "logit": _logit,
    "log_expit": _log_expit,
    "xlogy": _log_product("log"),
    "xlog1py": _log_product("log1p"),
    "entr": _entr,
    "rel_entr": _rel_entr,
    "kl_div": _kl_div,
    "ndtr": _ndtr,
    "ndtri": _wide(_ndtri),
    "erfinv": _wide(_erfinv),
    "erfcinv": _wide(_erfcinv),
    "huber": _huber,
    "boxcox": _wide(_boxcox),
    "inv_boxcox": _wide(_inv_boxcox),
    "i0": _i0,
    "cbrt": _direct("cbrt"),
    "exp2": _direct("exp2"),
    "exp10": lambda f, x: f.pow(f.broadcast(_number(10, x), x.type.shape), x),
    "expm1": _direct("expm1"),
    "log1p": _direct("log1p"),
}


def applied(name: str, x: Any) -> Any:
    """A rule of one operand, on a traced value: floats keep their dtype."""
    t = x.session
    a: Any = t.array(x)
    a = a if a.dtype.kind in "fV" else a.astype(np.float64)
    return t.wrap(RULES[name](t, a.read()), scalar=a.scalar)


# --- functions ----------------------------------------------------------------------------------


def _shifted(t: Any, x: Any, axis: Any) -> Any:
    """Less the maximum, so that no exponential overflows."""
    a: Any = t.array(x)
    a = a.astype(float) if a.dtype.kind in "iub" else a
    return a - np.max(a, axis=axis, keepdims=True)


def softmax(t: Any, x: Any, axis: Any = None) -> Any:
    """``exp(x) / sum(exp(x))``."""
    e = np.exp(_shifted(t, x, axis))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(t: Any, x: Any, axis: Any = None) -> Any:
    """``x - log(sum(exp(x)))``."""
    a = _shifted(t, x, axis)
    return a - np.log(np.sum(np.exp(a), axis=axis, keepdims=True))


def logsumexp(
    t: Any,
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
) -> Any:
    """``log(sum(b * exp(a)))``; infinite maxima are not subtracted."""
    if return_sign:
        raise unsupported(
            "scipy.special.logsumexp with return_sign=True is not supported in a traced function",
            "Compute the positive and the negative part apart.",
        )
    x: Any = t.array(a)
    x = x.astype(float) if x.dtype.kind in "iub" else x
    if b is not None:
        x = np.where(np.equal(b, 0), -np.inf, x)
    high = np.max(x, axis=axis, keepdims=True)
    high = np.where(np.isfinite(high), high, 0)
    e = np.exp(x - high)
    total = np.log(np.sum(e if b is None else e * b, axis=axis, keepdims=keepdims))
    return total + (high if keepdims else np.squeeze(high, axis=axis))


FUNCTIONS: dict[str, Rule] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": logsumexp,
}
