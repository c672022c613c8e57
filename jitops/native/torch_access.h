// A short way to torch tensors, where the process has loaded a torch that offers it; DLPack is the
// way otherwise.
#pragma once

#include "dtype.h"

namespace jitops {

// C functions of torch (torch/csrc/stable/c/shim.h, torch/csrc/inductor/aoti_torch/c/shim.h: a
// stable ABI) and two of its C++ functions, found among the loaded libraries and checked against
// DLPack on a tensor of our own before first use. Reading a tensor takes 10 ns in place of 50,
// making one 200 in place of 300 (torch 2.13).
struct TorchAccess {
  using Handle = void*;  // an at::Tensor*
  using Deleter = void (*)(void* data, void* context);

  int32_t (*data)(Handle, void**);
  int32_t (*sizes)(Handle, int64_t**);
  int32_t (*strides)(Handle, int64_t**);
  int32_t (*dim)(Handle, int64_t*);
  int32_t (*dtype)(Handle, int32_t*);
  int32_t (*device)(Handle, int32_t*);
  int32_t (*remove)(Handle);
  int32_t (*from_blob)(void* data, int64_t ndim, const int64_t* sizes, const int64_t* strides,
                       int64_t offset, int32_t dtype, int32_t device, int32_t index, Handle* made,
                       int32_t layout, const uint8_t* metadata, int64_t metadata_size, Deleter,
                       void* context);
  bool (*requires_grad)(const void* tensor);  // c10::TensorImpl::requires_grad() const
  PyObject* (*wrap)(Handle);                  // THPVariable_Wrap(at::TensorBase&&)

  int32_t
      codes[static_cast<int>(DType::Count)];  // torch's number of each dtype, -1 where it has none
  DType dtypes[64];                           // and back

  // The at::Tensor inside a torch.Tensor object: its first field.
  static Handle handle(PyObject* tensor) { return tensor + 1; }

  bool wants_grad(PyObject* tensor) const {
    return requires_grad(*static_cast<void**>(handle(tensor)));
  }
  // Dense tensors on the CPU of a dtype we know; false (no error set) for all others.
  bool view(PyObject* tensor, dl::Tensor* out, DType* type) const;
  // A tensor that owns `data` (a block of memory.h, freed at once when this fails). Strides in
  // elements.
  PyObject* make(void* data, int64_t ndim, const int64_t* sizes, const int64_t* strides,
                 DType type) const;
};

// For torch.Tensor and torch.nn.Parameter themselves; null for every other type and when the check
// failed.
const TorchAccess* torch_access(PyTypeObject* type, const dl::ExchangeApi& api);

}  // namespace jitops
