// Python and NumPy scalars to the bytes a kernel reads.
#include "objects.h"

#include <cmath>
#include <cstring>

namespace jitops {
namespace {

template <typename T>
Outcome put(T value, void* slot) {
  std::memcpy(slot, &value, sizeof value);
  return Outcome::Done;
}

// Round to nearest even, as NumPy's npy_double_to_half; written with exact double arithmetic.
uint16_t half_from(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
  if (size >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00);
  if (size < 6.103515625e-05) {  // subnormal: a multiple of 2^-24
    return static_cast<uint16_t>(sign |
                                 static_cast<uint16_t>(std::nearbyint(std::ldexp(size, 24))));
  }
  int exponent;
  const double fraction = std::frexp(size, &exponent);  // size = fraction * 2^exponent, in [0.5, 1)
  const int units = static_cast<int>(std::nearbyint(std::ldexp(fraction, 11)));  // [1024, 2048]
  return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + (units - 1024)));
}

uint16_t bfloat_from(double value) {
  const float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof bits);
  if (std::isnan(narrow)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

Outcome put_real(DType dtype, double value, void* slot) {
  switch (dtype) {
    case DType::Float32: return put(static_cast<float>(value), slot);
    case DType::Float64: return put(value, slot);
    case DType::Float16: return put(half_from(value), slot);
    case DType::BFloat16: return put(bfloat_from(value), slot);
    case DType::Complex64: {
      const float pair[2] = {static_cast<float>(value), 0.0f};
      return std::memcpy(slot, pair, sizeof pair), Outcome::Done;
    }
    case DType::Complex128: {
      const double pair[2] = {value, 0.0};
      return std::memcpy(slot, pair, sizeof pair), Outcome::Done;
    }
    default: return Outcome::Miss;
  }
}

Outcome put_complex(DType dtype, Py_complex value, void* slot) {
  if (dtype == DType::Complex128) {
    return std::memcpy(slot, &value, sizeof value), Outcome::Done;
  }
  if (dtype != DType::Complex64) return Outcome::Miss;
  const float pair[2] = {static_cast<float>(value.real), static_cast<float>(value.imag)};
  return std::memcpy(slot, pair, sizeof pair), Outcome::Done;
}

// value in [lo, hi] and representable: the caller checked [lo, hi]; here the dtype's own range.
template <typename T>
Outcome put_integer(__int128 value, void* slot) {
  const T narrow = static_cast<T>(value);
  return narrow == value ? put(narrow, slot) : Outcome::Miss;
}

Outcome put_int(DType dtype, __int128 value, void* slot) {
  switch (dtype) {
    case DType::Int64: return put_integer<int64_t>(value, slot);
    case DType::Int32: return put_integer<int32_t>(value, slot);
    case DType::Int16: return put_integer<int16_t>(value, slot);
    case DType::Int8: return put_integer<int8_t>(value, slot);
    case DType::UInt64: return put_integer<uint64_t>(value, slot);
    case DType::UInt32: return put_integer<uint32_t>(value, slot);
    case DType::UInt16: return put_integer<uint16_t>(value, slot);
    case DType::UInt8: return put_integer<uint8_t>(value, slot);
    default: return Outcome::Miss;
  }
}

bool is_integer(DType dtype) { return dtype >= DType::Int8 && dtype <= DType::UInt64; }

// Python integers of up to 64 bits, signed or unsigned; false for larger ones.
bool read_integer(PyObject* object, __int128* out) {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  *out = value;
  if (overflow == 0) return true;
  if (overflow < 0) return false;
  const unsigned long long large = PyLong_AsUnsignedLongLong(object);
  if (large == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  *out = large;
  return true;
}

Outcome store_int(const InputSpec& input, PyObject* object, void* slot) {
  __int128 value = 0;
  const bool small = read_integer(object, &value);
  if (input.bounded && (!small || value < input.lo || value > input.hi)) return Outcome::Miss;
  if (is_integer(input.dtype)) return small ? put_int(input.dtype, value, slot) : Outcome::Miss;
  const double real = PyLong_AsDouble(object);
  if (real == -1.0 && PyErr_Occurred()) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return Outcome::Failed;
    PyErr_Clear();
    return Outcome::Miss;
  }
  return put_real(input.dtype, real, slot);
}

// A NumPy integer or bool within the bounds that its input has, if any.
bool within_bounds(const InputSpec& input, PyObject* object) {
  if (!input.bounded) return true;
  __int128 value = 0;
  const Ref number(PyNumber_Long(object));
  if (!number) return PyErr_Clear(), false;
  return read_integer(number.get(), &value) && value >= input.lo && value <= input.hi;
}

Outcome store_numpy(const InputSpec& input, const Leaf& leaf, void* slot) {
  if (!within_bounds(input, leaf.object)) return Outcome::Miss;
  if (leaf.dtype == input.dtype) {
    PyArray_ScalarAsCtype(leaf.object, slot);
    return Outcome::Done;
  }
  PyArray_Descr* descr = dtype_descr(input.dtype);
  if (descr == nullptr) return Outcome::Failed;
  return PyArray_CastScalarToCtype(leaf.object, slot, descr) < 0 ? Outcome::Failed : Outcome::Done;
}

}  // namespace

Outcome store_scalar(const InputSpec& input, const Leaf& leaf, void* slot) {
  switch (leaf.kind) {
    case LeafKind::WeakFloat: return put_real(input.dtype, PyFloat_AS_DOUBLE(leaf.object), slot);
    case LeafKind::WeakInt: return store_int(input, leaf.object, slot);
    case LeafKind::WeakComplex:
      return put_complex(input.dtype, PyComplex_AsCComplex(leaf.object), slot);
    case LeafKind::NumpyScalar: return store_numpy(input, leaf, slot);
    default: return Outcome::Miss;
  }
}

}  // namespace jitops
