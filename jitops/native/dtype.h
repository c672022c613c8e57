// Element types: our own small numbering, and its translations to NumPy's and DLPack's.
#pragma once

#include "dlpack_abi.h"
#include "numpy_api.h"

#include <cstddef>
#include <cstdint>

namespace jitops {

enum class DType : uint8_t {
  Invalid,
  Bool,
  Int8,
  Int16,
  Int32,
  Int64,
  UInt8,
  UInt16,
  UInt32,
  UInt64,
  Float16,
  BFloat16,
  Float32,
  Float64,
  Complex64,
  Complex128,
  Float8E4M3FN,
  Float8E5M2,
  Count
};

size_t dtype_size(DType dtype);
bool dtype_is_builtin(DType dtype);   // a type of NumPy itself
size_t dtype_alignment(DType dtype);  // of the real element: 4 for complex64
const char* dtype_name(DType dtype);
DType dtype_from_name(const char* name);
DType dtype_from_dlpack(dl::DataType type);
dl::DataType dtype_to_dlpack(DType dtype);

// The descriptor of a dtype, borrowed; bfloat16 and float8 come from ml_dtypes. Null with an error
// set if absent.
PyArray_Descr* dtype_descr(DType dtype);

DType dtype_from_user_descr(PyArray_Descr* descr);

extern const DType kBuiltinDTypes[NPY_HALF + 1];

// Invalid for types that no kernel takes (object, strings, dates, structured, long double).
inline DType dtype_of(PyArray_Descr* descr) {
  const int num = descr->type_num;
  if (static_cast<unsigned>(num) <= NPY_HALF) return kBuiltinDTypes[num];
  return dtype_from_user_descr(descr);
}

}  // namespace jitops
