#include "dtype.h"

#include <cstring>

namespace jitops {
namespace {

struct Facts {
  const char* name;
  uint8_t size;
  uint8_t alignment;
  dl::DataType dlpack;
  int numpy;  // type number, or -1 when ml_dtypes provides the type
};

constexpr Facts kFacts[] = {
    {"invalid", 0, 1, {255, 0, 0}, -1},
    {"bool", 1, 1, {dl::kBool, 8, 1}, NPY_BOOL},
    {"int8", 1, 1, {dl::kInt, 8, 1}, NPY_INT8},
    {"int16", 2, 2, {dl::kInt, 16, 1}, NPY_INT16},
    {"int32", 4, 4, {dl::kInt, 32, 1}, NPY_INT32},
    {"int64", 8, 8, {dl::kInt, 64, 1}, NPY_INT64},
    {"uint8", 1, 1, {dl::kUInt, 8, 1}, NPY_UINT8},
    {"uint16", 2, 2, {dl::kUInt, 16, 1}, NPY_UINT16},
    {"uint32", 4, 4, {dl::kUInt, 32, 1}, NPY_UINT32},
    {"uint64", 8, 8, {dl::kUInt, 64, 1}, NPY_UINT64},
    {"float16", 2, 2, {dl::kFloat, 16, 1}, NPY_HALF},
    {"bfloat16", 2, 2, {dl::kBfloat, 16, 1}, -1},
    {"float32", 4, 4, {dl::kFloat, 32, 1}, NPY_FLOAT},
    {"float64", 8, 8, {dl::kFloat, 64, 1}, NPY_DOUBLE},
    {"complex64", 8, 4, {dl::kComplex, 64, 1}, NPY_CFLOAT},
    {"complex128", 16, 8, {dl::kComplex, 128, 1}, NPY_CDOUBLE},
    {"float8_e4m3fn", 1, 1, {10, 8, 1}, -1},
    {"float8_e5m2", 1, 1, {12, 8, 1}, -1},
};
constexpr int kCount = static_cast<int>(DType::Count);
static_assert(sizeof(kFacts) / sizeof(kFacts[0]) == kCount, "one row per DType");

const Facts& facts(DType dtype) { return kFacts[static_cast<int>(dtype)]; }

// Descriptors asked for so far, kept for the life of the process; guarded by the GIL.
PyArray_Descr* g_descr[kCount];

constexpr DType integer(size_t size, bool is_signed) {
  return size == 1   ? (is_signed ? DType::Int8 : DType::UInt8)
         : size == 2 ? (is_signed ? DType::Int16 : DType::UInt16)
         : size == 4 ? (is_signed ? DType::Int32 : DType::UInt32)
                     : (is_signed ? DType::Int64 : DType::UInt64);
}

PyArray_Descr* ml_dtypes_descr(const char* name) {
  Ref module(PyImport_ImportModule("ml_dtypes"));
  if (!module) {
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "a NumPy array of %s needs the package ml_dtypes: install it",
                 name);
    return nullptr;
  }
  Ref type(PyObject_GetAttrString(module.get(), name));
  PyArray_Descr* descr = nullptr;
  if (!type || !PyArray_DescrConverter(type.get(), &descr)) return nullptr;
  return descr;
}

}  // namespace

// Indexed by NumPy's type number; int and long, long and long long fall together by size.
const DType kBuiltinDTypes[NPY_HALF + 1] = {DType::Bool,
                                            DType::Int8,
                                            DType::UInt8,
                                            integer(sizeof(short), true),
                                            integer(sizeof(short), false),
                                            integer(sizeof(int), true),
                                            integer(sizeof(int), false),
                                            integer(sizeof(long), true),
                                            integer(sizeof(long), false),
                                            integer(sizeof(long long), true),
                                            integer(sizeof(long long), false),
                                            DType::Float32,
                                            DType::Float64,
                                            DType::Invalid,
                                            DType::Complex64,
                                            DType::Complex128,
                                            DType::Invalid,
                                            DType::Invalid,
                                            DType::Invalid,
                                            DType::Invalid,
                                            DType::Invalid,
                                            DType::Invalid,
                                            DType::Invalid,
                                            DType::Float16};

size_t dtype_size(DType dtype) { return facts(dtype).size; }
bool dtype_is_builtin(DType dtype) { return facts(dtype).numpy >= 0; }
size_t dtype_alignment(DType dtype) { return facts(dtype).alignment; }
const char* dtype_name(DType dtype) { return facts(dtype).name; }
dl::DataType dtype_to_dlpack(DType dtype) { return facts(dtype).dlpack; }

DType dtype_from_name(const char* name) {
  for (int i = 1; i < kCount; ++i) {
    if (std::strcmp(kFacts[i].name, name) == 0) return static_cast<DType>(i);
  }
  return DType::Invalid;
}

DType dtype_from_dlpack(dl::DataType type) {
  for (int i = 1; i < kCount; ++i) {
    const dl::DataType& row = kFacts[i].dlpack;
    if (row.code == type.code && row.bits == type.bits && row.lanes == type.lanes) {
      return static_cast<DType>(i);
    }
  }
  return DType::Invalid;
}

PyArray_Descr* dtype_descr(DType dtype) {
  PyArray_Descr*& known = g_descr[static_cast<int>(dtype)];
  if (known == nullptr) {
    const Facts& row = facts(dtype);
    known = row.numpy >= 0 ? PyArray_DescrFromType(row.numpy) : ml_dtypes_descr(row.name);
  }
  return known;
}

DType dtype_from_user_descr(PyArray_Descr* descr) {
  if (!PyTypeNum_ISUSERDEF(descr->type_num) || descr->typeobj == nullptr) return DType::Invalid;
  const char* name = std::strrchr(descr->typeobj->tp_name, '.');
  return dtype_from_name(name == nullptr ? descr->typeobj->tp_name : name + 1);
}

}  // namespace jitops
