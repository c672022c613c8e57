// Tensors of other libraries: what their types offer, and their views.
#include "flatten.h"

#include <array>
#include <cstring>

namespace jitops {
namespace {

constexpr size_t kCacheSize = 64;

// Facts by type, direct-mapped; an entry keeps its type alive. Guarded by the GIL. Facts of tensors
// are never freed: calls in progress point at them.
std::array<TypeFacts*, kCacheSize> g_cache{};

PyObject* type_attribute(PyTypeObject* type, const char* name) {
  PyObject* found = PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name);
  if (found == nullptr) PyErr_Clear();
  return found;
}

const dl::ExchangeApi* exchange_api(PyTypeObject* type) {
  const Ref capsule(type_attribute(type, "__dlpack_c_exchange_api__"));
  if (!capsule || !PyCapsule_IsValid(capsule.get(), "dlpack_exchange_api")) return nullptr;
  auto* api =
      static_cast<dl::ExchangeApi*>(PyCapsule_GetPointer(capsule.get(), "dlpack_exchange_api"));
  while (api != nullptr && api->major != dl::kMajor) api = api->previous;
  return api != nullptr && api->view_object != nullptr ? api : nullptr;
}

void find_requires_grad(TypeFacts& facts) {
  const Ref attribute(type_attribute(facts.type, "requires_grad"));
  if (!attribute || Py_TYPE(attribute.get()) != &PyGetSetDescr_Type) return;
  const PyGetSetDef* def = reinterpret_cast<PyGetSetDescrObject*>(attribute.get())->d_getset;
  facts.requires_grad = def->get;
  facts.requires_grad_closure = def->closure;
  facts.is_conj = type_attribute(facts.type, "is_conj");
  facts.is_neg = type_attribute(facts.type, "is_neg");
}

TypeKind builtin_kind(PyTypeObject* type) {
  struct Row {
    PyTypeObject* type;
    TypeKind kind;
  };
  const Row rows[] = {
      {&PyFloat_Type, TypeKind::Float},     {&PyLong_Type, TypeKind::Int},
      {&PyComplex_Type, TypeKind::Complex}, {&PyBool_Type, TypeKind::Bool},
      {Py_TYPE(Py_None), TypeKind::None},   {&PyUnicode_Type, TypeKind::Value},
      {&PyBytes_Type, TypeKind::Value},     {&PyTuple_Type, TypeKind::Tuple},
      {&PyList_Type, TypeKind::List},       {&PyDict_Type, TypeKind::Dict},
  };
  for (const Row& row : rows) {
    if (row.type == type) return row.kind;
  }
  struct Base {
    PyTypeObject* type;
    TypeKind kind;
  };
  const Base bases[] = {
      {&PyArray_Type, TypeKind::ArraySubclass}, {&PyGenericArrType_Type, TypeKind::NumpyScalar},
      {&PyTuple_Type, TypeKind::TupleSubclass}, {&PyList_Type, TypeKind::ListSubclass},
      {&PyDict_Type, TypeKind::DictSubclass},
  };
  for (const Base& base : bases) {
    if (PyType_IsSubtype(type, base.type)) return base.kind;
  }
  return TypeKind::Object;
}

DType scalar_dtype(PyTypeObject* type) {
  PyArray_Descr* descr = PyArray_DescrFromTypeObject(reinterpret_cast<PyObject*>(type));
  if (descr == nullptr) {
    PyErr_Clear();
    return DType::Invalid;
  }
  const DType dtype = dtype_of(descr);
  Py_DECREF(descr);
  return dtype;
}

void describe(TypeFacts& facts) {
  facts.kind = builtin_kind(facts.type);
  if (facts.kind == TypeKind::NumpyScalar) facts.dtype = scalar_dtype(facts.type);
  if (facts.kind != TypeKind::Object) return;
  // Compiled types cannot be made anew under these names, and NumPy need not import its module.
  for (const char* name :
       {"numpy.random._generator.Generator", "numpy.random.mtrand.RandomState"}) {
    if (std::strcmp(facts.type->tp_name, name) == 0) facts.kind = TypeKind::Generator;
  }
  if (facts.kind == TypeKind::Generator) return;
  if (const Ref spec{type_attribute(facts.type, "__jitops_spec__")}) {
    facts.kind = TypeKind::Spec;
    return;
  }
  facts.api = exchange_api(facts.type);
  if (facts.api != nullptr) {
    facts.kind = TypeKind::TensorApi;
  } else if (const Ref method{type_attribute(facts.type, "__dlpack__")}) {
    facts.kind = TypeKind::TensorMethod;
  }
  if (is_tensor(facts.kind)) find_requires_grad(facts);
  if (facts.requires_grad != nullptr && facts.api != nullptr) {
    facts.torch = torch_access(facts.type, *facts.api);
  }
}

const TypeFacts* discover(PyTypeObject* type, TypeFacts*& slot) {
  TypeFacts* made = new TypeFacts;
  Py_INCREF(type);
  made->type = type;
  describe(*made);  // may run Python code, which may fill the slot meanwhile
  TypeFacts* old = slot;
  slot = made;
  if (old != nullptr && !is_tensor(old->kind)) {
    PyTypeObject* gone = old->type;
    delete old;
    Py_DECREF(gone);
  }
  return made;
}

const char* device_name(int32_t type) {
  struct Row {
    int32_t type;
    const char* name;
  };
  constexpr Row rows[] = {{2, "cuda"},    {4, "opencl"}, {7, "vulkan"},
                          {8, "metal"},   {10, "rocm"},  {13, "cuda managed memory"},
                          {14, "oneapi"}, {15, "webgpu"}};
  for (const Row& row : rows) {
    if (row.type == type) return row.name;
  }
  return "another device";
}

bool on_cpu(int32_t device) {
  return device == dl::kCPU || device == dl::kCUDAHost || device == dl::kROCMHost;
}

// torch.is_grad_enabled(), looked up where torch is loaded; only asked for tensors that require
// grad.
int grad_enabled() {
  PyObject* modules = PyImport_GetModuleDict();
  PyObject* torch = PyDict_GetItemString(modules, "torch");
  if (torch == nullptr) return 1;
  const Ref answer(PyObject_CallMethod(torch, "is_grad_enabled", nullptr));
  return answer ? PyObject_IsTrue(answer.get()) : -1;
}

}  // namespace

const TypeFacts* type_facts(PyTypeObject* type) {
  TypeFacts*& slot = g_cache[(address(type) >> 4) % kCacheSize];
  if (__builtin_expect(slot != nullptr && slot->type == type, 1)) return slot;
  return discover(type, slot);
}

bool note_write(const TypeFacts& facts, PyObject* tensor) {
  if (facts.requires_grad == nullptr) return true;  // not torch
  PyObject* graph = PyDict_GetItemString(PyImport_GetModuleDict(), "torch.autograd.graph");
  if (graph == nullptr) return true;
  const Ref done(PyObject_CallMethod(graph, "increment_version", "O", tensor));
  return static_cast<bool>(done);
}

// True with an error set when autograd would lose track of this tensor.
bool Flattener::grad_refused(PyObject* object, const TypeFacts& facts) {
  if (facts.requires_grad == nullptr) return false;
  if (facts.torch != nullptr && !facts.torch->wants_grad(object)) return false;
  const Ref answer(facts.requires_grad(object, facts.requires_grad_closure));
  if (answer.get() == Py_False) return false;
  if (!answer) return true;
  const int enabled = grad_enabled();
  if (enabled == 0) return false;
  if (enabled > 0) {
    const Ref name = argument();
    if (name) {
      PyErr_Format(
          PyExc_RuntimeError,
          "%U of op '%s' is a tensor that requires grad, and a direct call is not recorded "
          "by autograd: pass .detach(), or call the op under torch.no_grad()",
          name.get(), parameters_.op);
    }
  }
  return true;
}

// The view behind `__dlpack__`; the capsule lives as long as the call.
bool Flattener::exported(PyObject* object, dl::Tensor* view, bool* writable) {
  call_.hold();
  call_.owned.push_back(Ref::borrow(object));
  const Ref method(PyObject_GetAttrString(object, "__dlpack__"));
  if (!method) return false;
  const Ref empty(PyTuple_New(0));
  const Ref options(Py_BuildValue("{s(ii)}", "max_version", 1, 0));
  if (!empty || !options) return false;
  Ref capsule(PyObject_Call(method.get(), empty.get(), options.get()));
  if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {  // before DLPack 1.0
    PyErr_Clear();
    capsule = Ref(PyObject_CallNoArgs(method.get()));
  }
  if (!capsule) return false;
  if (PyCapsule_IsValid(capsule.get(), "dltensor_versioned")) {
    const auto* managed = static_cast<dl::ManagedTensorVersioned*>(
        PyCapsule_GetPointer(capsule.get(), "dltensor_versioned"));
    if (managed->major != dl::kMajor) {
      PyErr_SetString(PyExc_BufferError, "the tensor speaks another major version of DLPack");
      return false;
    }
    *view = managed->tensor;
    *writable = (managed->flags & dl::kReadOnly) == 0;
  } else {
    const auto* managed =
        static_cast<dl::ManagedTensor*>(PyCapsule_GetPointer(capsule.get(), "dltensor"));
    if (managed == nullptr) return false;
    *view = managed->tensor;
    *writable = false;  // the old form cannot say; writing through it is never asked for
  }
  call_.owned.push_back(std::move(capsule));
  return true;
}

// Size, and whether the layout is other than C order (strides of axes of extent 1, and of empty
// tensors, do not count).
inline void Flattener::measure(View* view) {
  const dl::Tensor& tensor = view->tensor;
  int64_t expected = 1;
  bool strided = false;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    const int64_t extent = tensor.shape[i];
    if (tensor.strides != nullptr && extent != 1 && tensor.strides[i] != expected) strided = true;
    expected *= extent;
  }
  view->size = expected;
  view->strided = strided && expected != 0;
}

// torch keeps conj() and the imaginary part of it as views with a mark that DLPack's C exchange
// does not carry. True with an error set.
bool Flattener::lazy_refused(PyObject* object, const TypeFacts& facts) {
  if (facts.is_conj == nullptr || facts.is_neg == nullptr) return false;
  for (PyObject* method : {facts.is_conj, facts.is_neg}) {
    const Ref answer(PyObject_CallOneArg(method, object));
    if (answer.get() == Py_False) continue;
    const Ref name = answer ? argument() : Ref();
    if (name) {
      PyErr_Format(PyExc_RuntimeError,
                   "%U of op '%s' is a lazily conjugated or negated view: pass "
                   ".resolve_conj().resolve_neg()",
                   name.get(), parameters_.op);
    }
    return true;
  }
  return false;
}

// The first line of the library's own words, with the argument's name. Always false.
bool Flattener::no_view() {
  if (!PyErr_ExceptionMatches(PyExc_Exception)) return false;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  const Ref kind(type), object(value), origin(trace);
  const Ref text(object ? PyObject_Str(object.get()) : nullptr);
  const Ref lines(text ? PyUnicode_Splitlines(text.get(), 0) : nullptr);
  const Ref name = argument();
  if (!name || !lines) return false;
  PyObject* first = PyList_GET_SIZE(lines.get()) > 0 ? PyList_GET_ITEM(lines.get(), 0) : text.get();
  PyErr_Format(PyExc_RuntimeError,
               "%U of op '%s' cannot be read: %U; accepted are dense tensors in CPU memory",
               name.get(), parameters_.op, first);
  return false;
}

bool Flattener::view_refused(const View& checked) {
  const dl::Tensor& view = checked.tensor;
  const bool absent = view.data == nullptr && checked.size != 0;
  if (__builtin_expect(on_cpu(view.device_type) && !absent && view.ndim <= 64, 1)) return false;
  const Ref name = argument();
  if (!name) return true;
  if (!on_cpu(view.device_type)) {
    PyErr_Format(PyExc_RuntimeError,
                 "%U of op '%s' is on %s:%d; accepted are tensors on the CPU: move it there first",
                 name.get(), parameters_.op, device_name(view.device_type), view.device_id);
  } else if (absent) {
    PyErr_Format(PyExc_RuntimeError, "%U of op '%s' has no data (a fake or traced tensor)",
                 name.get(), parameters_.op);
  } else {
    PyErr_Format(PyExc_ValueError, "%U of op '%s' has %d axes; accepted are at most 64", name.get(),
                 parameters_.op, view.ndim);
  }
  return true;
}

bool Flattener::tensor(PyObject* object, const TypeFacts& facts) {
  if (call_.tensor == nullptr) call_.tensor = &facts;
  View view;
  if (grad_refused(object, facts)) return false;
  if (facts.torch == nullptr || !facts.torch->view(object, &view.tensor, &view.dtype)) {
    const bool read = facts.api != nullptr ? facts.api->view_object(object, &view.tensor) == 0
                                           : exported(object, &view.tensor, &view.writable);
    if (!read) return no_view();
    view.dtype = dtype_from_dlpack(view.tensor.dtype);
  }
  measure(&view);
  if (view_refused(view)) return false;
  // The marks stand on complex tensors, and on real ones that are views with a step (or have one
  // element).
  const bool marked = view.strided || view.size == 1 || view.tensor.dtype.code == dl::kComplex;
  if (__builtin_expect(marked, 0) && lazy_refused(object, facts)) return false;
  tensor_view(object, view);
  return true;
}

void Flattener::tensor_view(PyObject* object, const View& read) {
  const dl::Tensor& view = read.tensor;
  const DType dtype = read.dtype;
  const unsigned ndim = static_cast<unsigned>(view.ndim);
  char* data = static_cast<char*>(view.data) + view.byte_offset;
  const bool fits = dtype != DType::Invalid && address(data) % dtype_alignment(dtype) == 0;
  auto& words = call_.words;
  words.reserve(2 * ndim + 2);
  words.push_reserved(head(Tag::ArrayOfType, dtype, ndim, read.strided));
  words.push_reserved(address(Py_TYPE(object)));
  call_.objects.push({reinterpret_cast<PyObject*>(Py_TYPE(object)), false});
  const size_t at = words.size();
  for (unsigned i = 0; i < ndim; ++i) words.push_reserved(static_cast<uint64_t>(view.shape[i]));
  if (read.strided) {
    const int64_t size = static_cast<int64_t>(dtype_size(dtype));
    for (unsigned i = 0; i < ndim; ++i) {
      const int64_t stride = view.shape[i] == 1 ? 0 : view.strides[i] * size;
      words.push_reserved(static_cast<uint64_t>(stride));
    }
  }
  const unsigned form =
      (read.strided ? kStrided : 0u) | (read.writable ? kWritable : 0u) | (fits ? kFits : 0u);
  call_.matchable &= static_cast<uint8_t>(form);
  call_.leaves.push({object, data, static_cast<uint32_t>(at), LeafKind::Tensor, dtype,
                     static_cast<uint8_t>(ndim), static_cast<uint8_t>(form)});
}

}  // namespace jitops
