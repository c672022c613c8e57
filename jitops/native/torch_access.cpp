#include "torch_access.h"

#include "memory.h"

#include <dlfcn.h>
#include <link.h>

#include <cstring>
#include <string>

namespace jitops {
namespace {

struct Search {
  const char* name;
  std::string path;
};

int compare_path(dl_phdr_info* info, size_t, void* data) {
  Search& search = *static_cast<Search*>(data);
  const char* file = info->dlpi_name == nullptr ? nullptr : std::strrchr(info->dlpi_name, '/');
  if (file == nullptr || std::strcmp(file + 1, search.name) != 0) return 0;
  search.path = info->dlpi_name;
  return 1;
}

// A library that is loaded already; never loads one.
void* loaded(const char* name) {
  Search search{name, {}};
  if (dl_iterate_phdr(compare_path, &search) == 0) return nullptr;
  return dlopen(search.path.c_str(), RTLD_NOLOAD | RTLD_LAZY);
}

template <typename F>
bool find(void* library, const char* name, F* out) {
  void* symbol = library == nullptr ? nullptr : dlsym(library, name);
  std::memcpy(out, &symbol, sizeof symbol);
  return symbol != nullptr;
}

void find_dtypes(void* library, TorchAccess* access) {
  for (DType& type : access->dtypes) type = DType::Invalid;
  for (int i = 0; i < static_cast<int>(DType::Count); ++i) {
    int32_t (*code)() = nullptr;
    const std::string name = std::string("aoti_torch_dtype_") + dtype_name(static_cast<DType>(i));
    access->codes[i] = find(library, name.c_str(), &code) ? code() : -1;
    if (access->codes[i] >= 0 && access->codes[i] < 64) {
      access->dtypes[access->codes[i]] = static_cast<DType>(i);
    }
  }
}

bool find_functions(TorchAccess* access) {
  void* core = loaded("libc10.so");
  void* cpu = loaded("libtorch_cpu.so");
  void* python = loaded("libtorch_python.so");
  const bool found = find(cpu, "aoti_torch_get_data_ptr", &access->data) &&
                     find(cpu, "aoti_torch_get_sizes", &access->sizes) &&
                     find(cpu, "aoti_torch_get_strides", &access->strides) &&
                     find(cpu, "aoti_torch_get_dim", &access->dim) &&
                     find(cpu, "aoti_torch_get_dtype", &access->dtype) &&
                     find(cpu, "aoti_torch_get_device_type", &access->device) &&
                     find(cpu, "aoti_torch_delete_tensor_object", &access->remove) &&
                     find(cpu, "torch_from_blob", &access->from_blob) &&
                     find(core, "_ZNK3c1010TensorImpl13requires_gradEv", &access->requires_grad) &&
                     find(python, "_Z16THPVariable_WrapON2at10TensorBaseE", &access->wrap);
  if (!found) return false;
  find_dtypes(cpu, access);
  return access->codes[static_cast<int>(DType::Float32)] >= 0;
}

// Both ways must see the same in a tensor made here: its object, memory, shape, strides and dtype.
bool agrees_with_dlpack(const TorchAccess& access, const dl::ExchangeApi& api, PyTypeObject* type) {
  const int64_t sizes[2] = {2, 3}, strides[2] = {3, 1};
  void* data = memory::allocate(24);
  if (data == nullptr) return false;
  const Ref made(access.make(data, 2, sizes, strides, DType::Float32));
  if (!made || Py_TYPE(made.get()) != type) return false;
  dl::Tensor ours, theirs;
  DType dtype = DType::Invalid;
  if (api.view_object(made.get(), &theirs) != 0 || theirs.ndim != 2 || theirs.data != data) {
    return false;
  }
  void* first = nullptr;  // the C++ tensor stands where `handle` looks for it
  access.data(TorchAccess::handle(made.get()), &first);
  if (first != data) return false;
  return access.view(made.get(), &ours, &dtype) && dtype == DType::Float32 && ours.data == data &&
         ours.ndim == 2 && std::memcmp(ours.shape, sizes, sizeof sizes) == 0 &&
         std::memcmp(ours.strides, strides, sizeof strides) == 0 && !access.wants_grad(made.get());
}

PyTypeObject* torch_type(const char* module, const char* name) {
  PyObject* found = PyDict_GetItemString(PyImport_GetModuleDict(), module);
  PyObject* type = found == nullptr ? nullptr : PyObject_GetAttrString(found, name);
  if (type == nullptr) PyErr_Clear();
  Py_XDECREF(type);  // the module keeps it
  return reinterpret_cast<PyTypeObject*>(type);
}

const TorchAccess* checked_access(PyTypeObject* tensor, const dl::ExchangeApi& api) {
  static TorchAccess access;  // filled once, under the GIL
  if (!find_functions(&access)) return nullptr;
  const bool good = agrees_with_dlpack(access, api, tensor);
  PyErr_Clear();
  return good ? &access : nullptr;
}

}  // namespace

bool TorchAccess::view(PyObject* tensor, dl::Tensor* out, DType* type) const {
  const Handle at = handle(tensor);
  int32_t where = -1, code = -1;
  int64_t ndim = -1;
  if (device(at, &where) != 0 || where != 0 || dtype(at, &code) != 0 ||
      static_cast<uint32_t>(code) >= 64 || dtypes[code] == DType::Invalid) {
    return false;
  }
  if (dim(at, &ndim) != 0 || sizes(at, &out->shape) != 0 || strides(at, &out->strides) != 0 ||
      data(at, &out->data) != 0) {
    return false;
  }
  *type = dtypes[code];
  out->ndim = static_cast<int32_t>(ndim);
  out->device_type = dl::kCPU;
  out->device_id = 0;
  out->dtype = dtype_to_dlpack(*type);
  out->byte_offset = 0;
  return true;
}

PyObject* TorchAccess::make(void* block, int64_t ndim, const int64_t* shape, const int64_t* steps,
                            DType type) const {
  Handle made = nullptr;
  const int32_t failed = from_blob(
      block, ndim, shape, steps, 0, codes[static_cast<int>(type)], 0, -1, &made, 0, nullptr, 0,
      [](void* data, void*) { memory::release(data); }, nullptr);
  if (failed != 0) {
    memory::release(block);
    PyErr_SetString(PyExc_RuntimeError, "torch could not make a tensor for the result");
    return nullptr;
  }
  PyObject* object = wrap(made);
  remove(made);
  return object;
}

const TorchAccess* torch_access(PyTypeObject* type, const dl::ExchangeApi& api) {
  PyTypeObject* tensor = torch_type("torch", "Tensor");
  if (tensor == nullptr || (type != tensor && type != torch_type("torch.nn", "Parameter"))) {
    return nullptr;
  }
  static const TorchAccess* const access = checked_access(tensor, api);
  return access;
}

}  // namespace jitops
