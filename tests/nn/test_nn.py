"""`jitops.nn`: eager is what PyTorch gives, float32 is near float64, compiled is near eager."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from against_numpy import check
from comparing import compare
from network_cases import CASES, IMAGE, LABELS, X

from jitops import nn

TOLERANCE = 2e-5


def eager(name, dtype=None):
    fn, args, _ = CASES[name]
    if dtype is not None:
        args = tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in args)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return fn(*args)


def near(found, wanted):
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape
    scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0) if wanted.size < 100 else 1
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * min(scale, 10))


# At infinity, torch's gelu is NaN.
@pytest.mark.parametrize("name", [n for n in CASES if n != "gelu at the edges"])
def test_eager_is_what_torch_gives(name):
    torch = pytest.importorskip("torch")
    _, args, expression = CASES[name]
    given = {"t": torch, "F": torch.nn.functional, "args": [torch.tensor(a) for a in args]}
    wanted = eval(expression, given)
    found = eager(name)
    assert found.dtype == np.float32
    near(found, wanted.numpy())


@pytest.mark.parametrize("name", [n for n in CASES if "edges" not in n])
def test_float32_is_near_float64(name):
    wide = eager(name, np.float64)
    assert wide.dtype == (np.float32 if name == "one_hot" else np.float64)
    near(eager(name), wide)


NAMES = list(CASES)


@pytest.mark.parametrize("first", range(0, len(NAMES), 20))
def test_compiled_is_what_is_eager(first):
    def same(name, found, wanted, args):
        assert found.dtype == wanted.dtype
        near(found, wanted)

    compare([(name, *CASES[name][:2]) for name in NAMES[first : first + 20]], same)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_traced_in_other_dtypes(dtype):
    for name, (fn, args, _) in CASES.items():
        if "edges" not in name and "pool" not in name:
            other = tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in args)
            check(fn, *other, rtol=4e-2 if dtype == "float16" else 1e-10)


def test_what_does_not_fit_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="accepted are 'none' and 'tanh'"):
        nn.gelu(X, "fast")
    with pytest.raises(ValueError, match="in 4 groups"):
        nn.conv2d(IMAGE, IMAGE, groups=4)
    with pytest.raises(ValueError, match="does not fit"):
        nn.conv2d(IMAGE, np.ones((2, 6, 20, 2), "float32"))
    with pytest.raises(ValueError, match="does not fit"):
        nn.max_pool2d(IMAGE, 20)
    with pytest.raises(ValueError, match="6 channels"):
        nn.group_norm(IMAGE, 4)
    with pytest.raises(ValueError, match="'mean', 'sum' and 'none'"):
        nn.cross_entropy(X, LABELS, "all")
    with pytest.raises(ValueError, match="'valid', 'same'"):
        nn.conv2d(IMAGE, np.ones((2, 6, 2, 2), "float32"), padding="full")


def test_every_function_has_a_case():
    assert {name.split()[0] for name in CASES} >= set(nn.__all__) - {"linear alone"}


def test_importing_jitops_does_not_import_it():
    code = "import sys, jitops; assert 'jitops.nn' not in sys.modules; jitops.nn.relu(1.0)"
    subprocess.run([sys.executable, "-c", code], check=True)
