"""What NumPy's tests ask for that an op, by its contract, does not give: docs/semantics.md.

Each reason, the tests that need it, as patterns of ``module.Class::test``. A pattern that excuses
nothing is an error of the runner, so that the list cannot outlive its reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

# The tests of this reason are run once more without the expectation: their values must hold.
SILENT = "kernels raise no floating-point errors and give no warnings about values"

CONTRACTS: dict[str, tuple[str, ...]] = {
    SILENT: (
        "test_umath.TestDivision::test_division_int_reduce*",
        "test_umath.TestDivision::test_floor_division_errors*",
        "test_umath.TestRemainder::test_float_divmod_errors*",
        "test_umath.TestRemainder::test_float_remainder_errors*",
        "test_umath.TestRemainder::test_float_remainder_overflow",
        "test_umath.TestDivisionIntegerOverflowsAndDivideByZero::test_signed_division_overflow*",
        "test_umath.TestDivisionIntegerOverflowsAndDivideByZero::test_divide_by_zero*",
        "test_umath.TestDivisionIntegerOverflowsAndDivideByZero::test_overflows[divmod-*",
        "test_umath.TestDivisionIntegerOverflowsAndDivideByZero::test_overflows[floor_divide-*",
        "test_umath.TestSpecialFloats::test_exp_exceptions",
        "test_umath.TestSpecialFloats::test_log_values",
        "test_umath.TestSpecialFloats::test_sincos_errors*",
        "test_umath.TestSpecialFloats::test_square_values",
        "test_umath.TestSpecialFloats::test_reciprocal_values",
        "test_umath.TestSpecialFloats::test_tan",
        "test_umath.TestSpecialFloats::test_arcsincos",
        "test_umath.TestSpecialFloats::test_sinh",
        "test_umath.TestSpecialFloats::test_cosh",
        "test_umath.TestSpecialFloats::test_arccosh",
        "test_umath.TestSpecialFloats::test_arctanh",
        "test_umath.TestSpecialFloats::test_exp2",
        "test_umath.TestSpecialFloats::test_expm1",
        "test_ufunc::test_ufunc_input_floatingpoint_error*",
    ),
    "tests count the warnings, or look into the errors, that kernels do not give": (
        "test_umath.TestPower::test_zero_power_nonzero",
        "test_numeric.TestFloatExceptions::test_floating_exceptions*",
        "test_numeric.TestIsclose::test_tol_warnings",
        "test_ufunc.TestUfunc::test_sum",
        "test_ufunc.TestUfunc::test_where_warns",
        "test_ufunc.TestUfuncGenericLoops::test_unary_PyUFunc_O_O_method_full[arccosh]",
        "test_ufunc.TestUfuncGenericLoops::test_unary_PyUFunc_O_O_method_full[arctanh]",
        "test_ufunc.TestUfuncGenericLoops::test_unary_PyUFunc_O_O_method_full[log*]",
        "test_indexing.TestFancyIndexingCast::test_boolean_index_cast_assign",
        "test_ufunc::test_ufunc_methods_floaterrors*",
        "test_nanfunctions.*::test_allnans*",
        "test_nanfunctions.*::test_empty",
        "test_nanfunctions.TestNanFunctions_MeanVarStd::test_ddof_too_big",
        "test_function_base.TestMedian::test_empty",
    ),
    "results are fresh arrays in C order and native byte order, never views or arguments": (
        "test_numeric.TestLikeFuncs::test_*_like",
        "test_numeric.TestNonarrayArgs::test_reshape_copy_arg",
        "test_numeric.TestRollaxis::test_results",
        "test_arraypad::test_memory_layout_persistence*",
        "test_shape_base.TestBlock::test_block_memory_order[block]",
        "test_shape_base.TestConcatenate::test_out_and_dtype*>f8*",
        "test_shape_base::test_stack_out_and_dtype*>f8*",
        "test_shape_base.TestArraySplit::test_integer_split_2D_rows_greater_max_int32",
        "test_einsum.TestEinsum::test_einsum_views",
        "test_einsum.TestEinsum::test_output_order",
        "test_function_base.TestCopy::test_order",
        "test_function_base.TestDelete::test_array_order_preserve",
        "test_ufunc.TestUfunc::test_broadcast",
        "test_ufunc.TestUfunc::test_cast_safety[*",
    ),
    "the sizes of a result come from the arguments' sizes and from integers, not from values": (
        "test_function_base.TestBincount::test_with_minlength_smaller_than_maxvalue",
    ),
    "a result is real or complex by the arguments' dtypes, not by values": (
        "test_type_check.TestRealIfClose::test_basic",
        "test_polynomial.TestPolynomial::test_poly",
        "test_polynomial.TestPolynomial::test_poly_int_overflow",
    ),
    "objects, strings, dates, subclasses, and functions that are given lines, are refused": (
        "test_arraypad::test_legacy_vector_functionality",
        "test_shape_base.TestApplyAlongAxis::test_axis_insertion_ma",
        "test_shape_base.TestApplyAlongAxis::test_subclass_preservation",
        "test_arraysetops.TestSetOps::test_isin_first_array_is_object",
        "test_function_base.TestQuantile::test_fraction",
    ),
    "a call whose written argument shares memory with another argument runs in NumPy": (
        "test_umath.TestSpecialFloats::test_sincos_overlaps*",
        "test_pocketfft.TestFFT1D::test_fft_inplace_out*",
    ),
    "large transforms and decompositions are host steps, which strict ops refuse": (
        "test_pocketfft.TestFFTThreadSafe::test_irfft",
        "test_linalg::test_reduced_rank",
    ),
    "an op is no ufunc: what a ufunc says of itself is not asked of it": (
        "test_umath.TestSpecialMethods::test_ufunc_docstring",
        "test_umath.TestSpecialMethods::test_wrap",
        "test_umath.TestAdd_newdoc_ufunc::test_ufunc_arg",
        "test_ufunc.TestUfunc::test_pickle*",
    ),
    "NumPy does not tell others than its own arrays of out=...": (
        "test_ufunc.TestUfunc::test_output_ellipsis[array]",
    ),
    "an error's message is jitops' own, with the line and what is accepted": (
        "test_indexing.TestBroadcastedAssignments::test_broadcast_error_reports_correct_shape*",
    ),
    "an op keeps the dtypes of its signatures": (
        "test_indexing.TestIndexing::test_small_regressions",
    ),
}


def matches(name: str, pattern: str) -> bool:
    """Whether the pattern is of this test; brackets stand for themselves."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def excused(names: Iterable[str]) -> dict[str, str]:
    """The tests among these that a contract excuses, each with the reason."""
    pairs = [(p, reason) for reason, patterns in CONTRACTS.items() for p in patterns]
    return {name: reason for name in names for p, reason in pairs if matches(name, p)}


def idle(module: Path, names: Iterable[str]) -> list[str]:
    """The patterns of a module's tests that excuse none of these."""
    text = module.read_text(encoding="utf-8")
    found = []
    for pattern in (p for patterns in CONTRACTS.values() for p in patterns):
        place, _, test = pattern.rpartition("::")
        stem, _, group = place.partition(".")
        here = group in ("", "*") or f"class {group}" in text
        named = f"def {test.partition('*')[0]}" in text
        if stem == module.stem and here and named:
            found.append(pattern)
    return [p for p in found if not any(matches(name, p) for name in names)]
