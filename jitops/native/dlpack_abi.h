// The binary interface of DLPack 1.x (https://github.com/dmlc/dlpack, dlpack.h, Apache-2.0),
// restated: only layouts.
#pragma once

#include <cstdint>

namespace jitops::dl {

constexpr uint32_t kMajor = 1;
constexpr uint32_t kMinor = 0;  // what we produce

enum Device : int32_t { kCPU = 1, kCUDAHost = 3, kROCMHost = 11 };
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };
constexpr uint64_t kReadOnly = 1;

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  int32_t device_type;
  int32_t device_id;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; may be null for C order before DLPack 1.2
  uint64_t byte_offset;
};

struct ManagedTensor {  // the unversioned, legacy form
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
};

struct ManagedTensorVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(ManagedTensorVersioned*);
  uint64_t flags;
  Tensor tensor;
};

using SetError = void (*)(void* context, const char* kind, const char* message);

struct ExchangeApi {  // behind `__dlpack_c_exchange_api__`
  uint32_t major, minor;
  ExchangeApi* previous;
  int (*allocate)(Tensor* prototype, ManagedTensorVersioned** out, void* context, SetError);
  int (*from_object)(void* object, ManagedTensorVersioned** out);
  int (*to_object)(ManagedTensorVersioned* owned, void** out);
  int (*view_object)(void* object, Tensor* out);  // may be null
  int (*current_stream)(int32_t device_type, int32_t device_id, void** out);
};

}  // namespace jitops::dl
