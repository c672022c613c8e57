// Fresh results: ndarrays that own recycled memory (NEP 49), tensors of other libraries, NumPy scalars.
#include "memory.h"
#include "objects.h"

#include <cstring>

namespace jitops {
namespace {

void* handler_malloc(void*, size_t size) { return memory::allocate(size); }

void* handler_calloc(void*, size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) return nullptr;
  void* block = memory::allocate(count * size);
  return block == nullptr ? nullptr : std::memset(block, 0, count * size);
}

void* handler_realloc(void*, void* block, size_t size) { return memory::reallocate(block, size); }
void handler_free(void*, void* block, size_t) { memory::release(block); }

PyDataMem_Handler g_handler = {"jitops", 1,
                               {nullptr, handler_malloc, handler_calloc, handler_realloc,
                                handler_free}};
PyObject* g_handler_capsule;  // lives for ever: arrays may outlive the module

struct Message {
  char text[256];
};

void set_error(void* context, const char*, const char* message) {
  std::strncpy(static_cast<Message*>(context)->text, message, sizeof(Message::text) - 1);
}

PyObject* tensor_namespace(PyObject* example) {
  const Ref method(PyObject_GetAttrString(example, "__array_namespace__"));
  if (!method) {
    PyErr_Clear();
    return nullptr;
  }
  return PyObject_CallNoArgs(method.get());
}

}  // namespace

bool prepare_results(PyObject*) {
  if (g_handler_capsule == nullptr) {
    g_handler_capsule = PyCapsule_New(&g_handler, "mem_handler", nullptr);
  }
  return g_handler_capsule != nullptr;
}

bool new_array(const OutputSpec& output, Result* result) {
  PyArray_Descr* descr = dtype_descr(output.dtype);
  if (descr == nullptr) return false;
  void* data = memory::allocate(output.bytes);
  if (data == nullptr) return PyErr_NoMemory(), false;
  Py_INCREF(descr);
  static_assert(sizeof(npy_intp) == sizeof(int64_t), "64-bit platforms");
  PyObject* made = PyArray_NewFromDescr(
      &PyArray_Type, descr, static_cast<int>(output.shape.size()),
      reinterpret_cast<const npy_intp*>(output.shape.data()), nullptr, data, NPY_ARRAY_CARRAY,
      nullptr);
  if (made == nullptr) return memory::release(data), false;
  auto* fields = reinterpret_cast<PyArrayObject_fields*>(made);
  fields->flags |= NPY_ARRAY_OWNDATA;  // the array frees `data` through the handler
  fields->mem_handler = g_handler_capsule;
  Py_INCREF(g_handler_capsule);
  *result = {made, data};
  return true;
}

bool new_tensor(const OutputSpec& output, const TypeFacts& kind, PyObject*, Result* result) {
  if (kind.api == nullptr) return new_array(output, result);  // finish_tensor converts it
  dl::Tensor prototype{};
  prototype.device_type = dl::kCPU;
  prototype.ndim = static_cast<int32_t>(output.shape.size());
  prototype.dtype = dtype_to_dlpack(output.dtype);
  prototype.shape = const_cast<int64_t*>(output.shape.data());
  dl::ManagedTensorVersioned* managed = nullptr;
  Message message{};
  if (kind.api->allocate(&prototype, &managed, &message, set_error) != 0 || managed == nullptr) {
    if (!PyErr_Occurred()) {
      PyErr_Format(PyExc_RuntimeError, "the result's library could not allocate it: %s",
                   message.text);
    }
    return false;
  }
  void* data = static_cast<char*>(managed->tensor.data) + managed->tensor.byte_offset;
  void* object = nullptr;
  if (kind.api->to_object(managed, &object) != 0) return false;
  *result = {static_cast<PyObject*>(object), data};
  return true;
}

// The ndarray `array` (stolen) as the kind of tensor that `example` is, through its array namespace's from_dlpack.
PyObject* finish_tensor(const TypeFacts& kind, PyObject* example, PyObject* array) {
  if (kind.api != nullptr) return array;
  const Ref owned(array);
  const Ref space(tensor_namespace(example));
  if (!space) return PyErr_Occurred() ? nullptr : (Py_INCREF(array), array);
  return PyObject_CallMethod(space.get(), "from_dlpack", "O", array);
}

PyObject* new_scalar(const OutputSpec& output, void* data) {
  PyArray_Descr* descr = dtype_descr(output.dtype);
  return descr == nullptr ? nullptr : PyArray_Scalar(data, descr, nullptr);
}

}  // namespace jitops
