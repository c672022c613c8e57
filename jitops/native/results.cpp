// Fresh results: ndarrays that own recycled memory (NEP 49), tensors of other libraries, NumPy
// scalars.
#include "memory.h"
#include "objects.h"

#include <algorithm>
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

PyDataMem_Handler g_handler = {
    "jitops", 1, {nullptr, handler_malloc, handler_calloc, handler_realloc, handler_free}};
PyObject* g_handler_capsule;  // lives for ever: arrays may outlive the module

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

// Learn from NumPy itself how a fresh array of this output looks.
bool plan_array(OutputSpec* output) {
  output->descr = dtype_descr(output->dtype);
  if (output->descr == nullptr) return false;
  alignas(memory::kAlignment) static unsigned char nowhere[memory::kAlignment];
  const int ndim = static_cast<int>(output->shape.size());
  static_assert(sizeof(npy_intp) == sizeof(int64_t), "64-bit platforms");
  output->layout.assign(output->shape.begin(), output->shape.end());
  for (const OpenTerm& term : output->open) output->layout[term.axis] = 2;  // as any but 0 and 1
  Py_INCREF(output->descr);
  const Ref model(PyArray_NewFromDescr(&PyArray_Type, output->descr, ndim, output->layout.data(),
                                       nullptr, nowhere, NPY_ARRAY_CARRAY, nullptr));
  if (!model) return false;
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(model.get());
  output->flags = PyArray_FLAGS(array) | NPY_ARRAY_OWNDATA;
  output->layout.insert(output->layout.end(), PyArray_STRIDES(array),
                        PyArray_STRIDES(array) + ndim);
  if (output->open.empty()) {
    if (output->bytes == 0) std::fill(output->layout.begin() + ndim, output->layout.end(), 0);
  } else {
    std::copy(output->shape.begin(), output->shape.end(), output->layout.begin());
  }
  return true;
}

// An ndarray object with every field zero.
inline PyObject* raw_array() {
  const size_t size = static_cast<size_t>(PyArray_Type.tp_basicsize);
  auto* object = static_cast<PyObject*>(PyObject_Malloc(size));
  if (object == nullptr) return PyErr_NoMemory();
  std::memset(object, 0, sizeof(PyArrayObject_fields));
  if (size > sizeof(PyArrayObject_fields)) {
    std::memset(reinterpret_cast<char*>(object) + sizeof(PyArrayObject_fields), 0,
                size - sizeof(PyArrayObject_fields));
  }
  return PyObject_Init(object, &PyArray_Type);
}

// The shape of this call's result; `bytes` as for the closed part, which must be set.
inline bool open_shape(const OutputSpec& output, const int64_t* sizes, int64_t* shape,
                       size_t* bytes) {
  for (const OpenTerm& term : output.open) shape[term.axis] += term.factor * sizes[term.size];
  const uint32_t axis = output.open[0].axis;
  int64_t total;
  if (__builtin_expect(__builtin_mul_overflow(output.row_bytes, shape[axis], &total), 0)) {
    return PyErr_NoMemory(), false;
  }
  *bytes = static_cast<size_t>(total);
  return true;
}

// The array is put together here: PyArray_NewFromDescr checks again what the program fixed once. It
// frees its data through the handler, and shape and strides with PyDimMem_FREE.
bool new_array(const OutputSpec& output, const int64_t* sizes, Result* result) {
  if (__builtin_expect(output.descr == nullptr, 0)) {
    if (!plan_array(const_cast<OutputSpec*>(&output))) return false;
  }
  const size_t ndim = output.shape.size();
  size_t bytes = output.bytes;
  PyObject* made = raw_array();
  if (made == nullptr) return false;
  auto* fields = reinterpret_cast<PyArrayObject_fields*>(made);
  fields->descr = output.descr;
  Py_INCREF(output.descr);
  if (ndim != 0) {
    fields->dimensions = PyDimMem_NEW(2 * ndim);
    if (fields->dimensions == nullptr) return Py_DECREF(made), PyErr_NoMemory(), false;
    fields->strides = fields->dimensions + ndim;
    for (size_t i = 0; i < 2 * ndim; ++i) fields->dimensions[i] = output.layout[i];
  }
  fields->nd = static_cast<int>(ndim);
  if (!output.open.empty() && !open_shape(output, sizes, fields->dimensions, &bytes)) {
    return Py_DECREF(made), false;
  }
  void* data = memory::allocate(bytes);
  if (data == nullptr) return Py_DECREF(made), PyErr_NoMemory(), false;
  fields->data = static_cast<char*>(data);
  fields->flags = output.flags;
  fields->mem_handler = g_handler_capsule;
  Py_INCREF(g_handler_capsule);
  *result = {made, data};
  return true;
}

bool new_torch_tensor(const OutputSpec& output, const TorchAccess& torch, const int64_t* shape,
                      size_t bytes, Result* result) {
  void* data = memory::allocate(bytes);
  if (data == nullptr) return PyErr_NoMemory(), false;
  PyObject* made = torch.make(data, static_cast<int64_t>(output.shape.size()), shape,
                              output.steps.data(), output.dtype);
  *result = {made, data};
  return made != nullptr;
}

// A tensor over our own memory, with its description in front of the data in one block: the
// library's allocator and its way back through DLPack cost twice as much (torch 2.13: 0.9 against
// 0.45 us).
bool new_tensor(const OutputSpec& output, const TypeFacts& kind, const int64_t* sizes,
                Result* result) {
  if (kind.api == nullptr) return new_array(output, sizes, result);  // finish_tensor converts it
  const size_t ndim = output.shape.size();
  int64_t extents[64];
  size_t bytes = output.bytes;
  std::copy(output.shape.begin(), output.shape.end(), extents);
  if (!output.open.empty() && !open_shape(output, sizes, extents, &bytes)) return false;
  if (kind.torch != nullptr) return new_torch_tensor(output, *kind.torch, extents, bytes, result);
  const size_t described = sizeof(dl::ManagedTensorVersioned) + 2 * ndim * sizeof(int64_t);
  const size_t offset =
      (described + memory::kAlignment - 1) / memory::kAlignment * memory::kAlignment;
  char* block = static_cast<char*>(memory::allocate(offset + bytes));
  if (block == nullptr) return PyErr_NoMemory(), false;
  auto* shape = reinterpret_cast<int64_t*>(block + sizeof(dl::ManagedTensorVersioned));
  std::copy(extents, extents + ndim, shape);
  std::copy(output.steps.begin(), output.steps.end(), shape + ndim);
  auto* managed = reinterpret_cast<dl::ManagedTensorVersioned*>(block);
  *managed = {dl::kMajor,
              dl::kMinor,
              nullptr,
              [](dl::ManagedTensorVersioned* self) { memory::release(self); },
              0,
              {block + offset, dl::kCPU, 0, static_cast<int32_t>(ndim),
               dtype_to_dlpack(output.dtype), shape, shape + ndim, 0}};
  void* object = nullptr;
  if (kind.api->to_object(managed, &object) != 0) return false;
  *result = {static_cast<PyObject*>(object), block + offset};
  return true;
}

// The ndarray `array` (stolen) as the kind of tensor that `example` is, through its array
// namespace's from_dlpack.
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
