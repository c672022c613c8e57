// Program: a kernel's entry with what it takes and gives.
#include "objects.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace jitops {

PyTypeObject* g_program_type;

namespace {

constexpr double kReleaseGilFrom = 20000.0;  // ns

bool read_dims(PyObject* sequence, std::vector<int64_t>* out) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  const Py_ssize_t n = PyTuple_GET_SIZE(items.get());
  if (n > 64) return PyErr_SetString(PyExc_ValueError, "at most 64 axes"), false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    const long long value = PyLong_AsLongLong(PyTuple_GET_ITEM(items.get(), i));
    if (value == -1 && PyErr_Occurred()) return false;
    out->push_back(value);
  }
  return true;
}

// An extent or a number of bytes: an int, or (constant, (size, factor), ...).
bool read_open(PyObject* item, uint32_t axis, int64_t* constant, std::vector<OpenTerm>* open) {
  const bool closed = !PyTuple_Check(item);
  *constant = PyLong_AsLongLong(closed ? item : PyTuple_GET_ITEM(item, 0));
  if (*constant == -1 && PyErr_Occurred()) return false;
  for (Py_ssize_t i = 1; !closed && i < PyTuple_GET_SIZE(item); ++i) {
    unsigned size = 0;
    long long factor = 0;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(item, i), "IL;a term is (size, factor)", &size, &factor))
      return false;
    if (size >= kSizes) return PyErr_SetString(PyExc_ValueError, "too many open sizes"), false;
    open->push_back({axis, size, factor});
  }
  return true;
}

bool read_shape(PyObject* sequence, std::vector<int64_t>* out, std::vector<OpenTerm>* open) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  const Py_ssize_t n = PyTuple_GET_SIZE(items.get());
  if (n > 64) return PyErr_SetString(PyExc_ValueError, "at most 64 axes"), false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    out->push_back(0);
    if (!read_open(PyTuple_GET_ITEM(items.get(), i), static_cast<uint32_t>(i), &out->back(), open))
      return false;
  }
  if (!open->empty()) return true;
  __int128 size = 1;
  for (const int64_t extent : *out) {
    if (extent < 0) return PyErr_SetString(PyExc_ValueError, "negative extent in a shape"), false;
    size = std::min<__int128>(size * std::max<int64_t>(extent, 1), __int128{1} << 62);
  }
  if (size > (__int128{1} << 46))
    return PyErr_SetString(PyExc_ValueError, "shape too large"), false;
  return true;
}

bool read_dtype(PyObject* name, DType* out) {
  const char* text = PyUnicode_AsUTF8(name);
  if (text == nullptr) return false;
  *out = dtype_from_name(text);
  if (*out != DType::Invalid) return true;
  PyErr_Format(PyExc_ValueError, "unknown dtype '%s' in a program", text);
  return false;
}

bool read_bound(PyObject* object, __int128 fallback, __int128* out) {
  *out = fallback;
  if (object == Py_None) return true;
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (value == -1 && overflow == 0 && PyErr_Occurred()) return false;
  *out = value;
  if (overflow < 0) *out = fallback;
  if (overflow > 0) {
    const unsigned long long large = PyLong_AsUnsignedLongLong(object);
    if (large == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
      PyErr_Clear();  // beyond 64 bits: no bound for the integers a kernel can take
      *out = __int128{1} << 64;
    } else {
      *out = large;
    }
  }
  return true;
}

std::vector<int64_t> c_strides(const std::vector<int64_t>& shape, int64_t item) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = item;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

// Strides of axes of extent 1 mean nothing: zero them, so that equal layouts compare equal.
void settle(const std::vector<int64_t>& shape, std::vector<int64_t>* strides) {
  for (size_t i = 0; i < strides->size(); ++i) {
    if (shape[i] == 1) (*strides)[i] = 0;
  }
}

void measure(InputSpec* input) {
  const int64_t item = static_cast<int64_t>(dtype_size(input->dtype));
  std::vector<int64_t> dense = c_strides(input->shape, item);
  const bool empty = input->open.empty() &&
                     std::find(input->shape.begin(), input->shape.end(), 0) != input->shape.end();
  settle(input->shape, &dense);
  settle(input->shape, &input->strides);
  input->strided = !input->strides.empty() && !empty && input->strides != dense;
  if (!input->strided) input->strides = dense;
  if (empty || !input->open.empty()) return;
  input->span_hi = item;
  for (size_t i = 0; i < input->shape.size(); ++i) {
    const int64_t reach = (input->shape[i] - 1) * input->strides[i];
    (reach < 0 ? input->span_lo : input->span_hi) += reach;
  }
}

bool read_input(PyObject* item, InputSpec* input) {
  const char* kind = nullptr;
  PyObject *dtype, *shape, *strides, *lo, *hi;
  int mutated = 0;
  if (!PyTuple_Check(item)) {
    return PyErr_SetString(PyExc_TypeError, "a program input is a tuple"), false;
  }
  if (!PyArg_ParseTuple(item,
                        "sOOOpOO;a program input is (kind, dtype, shape, strides, mutated, "
                        "lo, hi)",
                        &kind, &dtype, &shape, &strides, &mutated, &lo, &hi)) {
    return false;
  }
  input->size = std::strcmp(kind, "size") == 0;
  input->scalar = input->size || std::strcmp(kind, "scalar") == 0;
  if (!input->scalar && std::strcmp(kind, "array") != 0) {
    PyErr_Format(PyExc_ValueError, "a program input is an 'array' or a 'scalar', found '%s'", kind);
    return false;
  }
  input->mutated = mutated != 0;
  if (!read_dtype(dtype, &input->dtype)) return false;
  input->bounded = lo != Py_None || hi != Py_None;
  if (!read_bound(lo, -(__int128{1} << 64), &input->lo)) return false;
  if (!read_bound(hi, __int128{1} << 64, &input->hi)) return false;
  if (input->scalar) return true;
  if (!read_shape(shape, &input->shape, &input->open)) return false;
  if (strides != Py_None && !read_dims(strides, &input->strides)) return false;
  if (strides != Py_None && input->strides.size() != input->shape.size()) {
    return PyErr_SetString(PyExc_ValueError, "a stride for each axis is needed"), false;
  }
  measure(input);
  return true;
}

bool read_output(PyObject* item, OutputSpec* output) {
  PyObject *dtype, *shape;
  if (!PyTuple_Check(item)) {
    return PyErr_SetString(PyExc_TypeError, "a program output is a tuple"), false;
  }
  if (!PyArg_ParseTuple(item, "OO;a program output is (dtype, shape)", &dtype, &shape))
    return false;
  if (!read_dtype(dtype, &output->dtype) || !read_shape(shape, &output->shape, &output->open))
    return false;
  output->bytes = dtype_size(output->dtype);
  for (const int64_t extent : output->shape) output->bytes *= static_cast<size_t>(extent);
  output->steps = c_strides(output->shape, 1);
  if (!output->open.empty()) {
    const int64_t item = static_cast<int64_t>(dtype_size(output->dtype));
    output->row_bytes = output->steps[output->open[0].axis] * item;
  }
  return !dtype_is_builtin(output->dtype) || plan_array(output);
}

template <typename T>
bool read_all(PyObject* sequence, std::vector<T>* out, bool (*read)(PyObject*, T*)) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  out->resize(static_cast<size_t>(PyTuple_GET_SIZE(items.get())));
  for (size_t i = 0; i < out->size(); ++i) {
    if (!read(PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i)), &(*out)[i])) return false;
  }
  return true;
}

bool read_costs(PyObject* sequence, std::vector<double>* out) {
  const Ref items(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; items && i < PyTuple_GET_SIZE(items.get()); ++i) {
    out->push_back(PyFloat_AsDouble(PyTuple_GET_ITEM(items.get(), i)));
  }
  return !PyErr_Occurred();
}

bool fill(ProgramSpec* spec, PyObject* inputs, PyObject* outputs, PyObject* space, double cost_ns,
          PyObject* cost_each, unsigned long long symbol) {
  int64_t workspace = 0;
  if (symbol == 0) return PyErr_SetString(PyExc_ValueError, "symbol is null"), false;
  if (space != nullptr && !read_open(space, 0, &workspace, &spec->open_workspace)) return false;
  if (cost_each != nullptr && !read_costs(cost_each, &spec->cost_each)) return false;
  if (workspace < 0) return PyErr_SetString(PyExc_ValueError, "workspace is negative"), false;
  if (!read_all(inputs, &spec->inputs, read_input)) return false;
  if (!read_all(outputs, &spec->outputs, read_output)) return false;
  for (uint32_t i = 0; i < spec->inputs.size(); ++i) {
    if (spec->inputs[i].mutated) spec->mutated.push_back(i);
    if (spec->inputs[i].size) spec->sizes.push_back(i);
  }
  if (spec->sizes.size() > kSizes || spec->cost_each.size() != spec->sizes.size()) {
    return PyErr_SetString(PyExc_ValueError, "a cost for each of at most 8 sizes is needed"), false;
  }
  spec->cost_ns = cost_ns;
  spec->entry = reinterpret_cast<KernelEntry>(static_cast<uintptr_t>(symbol));
  spec->workspace = static_cast<size_t>(workspace);
  spec->release_gil = cost_ns >= kReleaseGilFrom;
  return true;
}

// Pairs of an exception and its message, by number; none: nothing is checked.
bool read_failures(PyObject* sequence, ProgramSpec* spec) {
  Ref pairs(PySequence_Tuple(sequence));
  if (!pairs) return false;
  const Py_ssize_t count = PyTuple_GET_SIZE(pairs.get());
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* pair = PyTuple_GET_ITEM(pairs.get(), i);
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 ||
        !PyExceptionClass_Check(PyTuple_GET_ITEM(pair, 0))) {
      PyErr_SetString(PyExc_TypeError, "a failure is (exception, message)");
      return false;
    }
  }
  if (count != 0 && spec->workspace <= kOutcome) {
    PyErr_SetString(PyExc_ValueError, "the workspace has no place for the outcome of checks");
    return false;
  }
  spec->failures = count != 0 ? pairs.release() : nullptr;
  return true;
}

PyObject* program_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"library",   "symbol",  "inputs",    "outputs",
                                      "workspace", "cost_ns", "parallel",  "name",
                                      "failures",  "steps",   "cost_each", nullptr};
  PyObject *library, *symbol, *inputs, *outputs, *failures = nullptr, *steps = nullptr;
  PyObject *workspace = nullptr, *cost_each = nullptr;
  double cost_ns = 0;
  int parallel = 0;
  const char* name = "kernel";
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OOO|OdpsOOO", const_cast<char**>(names),
                                   g_library_type, &library, &symbol, &inputs, &outputs, &workspace,
                                   &cost_ns, &parallel, &name, &failures, &steps, &cost_each)) {
    return nullptr;
  }
  Ref found = PyUnicode_Check(symbol) ? Ref(PyObject_CallMethod(library, "symbol", "O", symbol))
                                      : Ref::borrow(symbol);
  if (!found) return nullptr;
  const unsigned long long code = PyLong_AsUnsignedLongLong(found.get());
  if (PyErr_Occurred()) return nullptr;
  Program* self = reinterpret_cast<Program*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  new (&self->spec) ProgramSpec;
  self->library = library;
  Py_INCREF(library);
  self->spec.parallel = parallel != 0;
  self->spec.name = name;
  if (!fill(&self->spec, inputs, outputs, workspace, cost_ns, cost_each, code) ||
      (failures != nullptr && !read_failures(failures, &self->spec)) ||
      (steps != nullptr && !read_steps(steps, &self->spec))) {
    Py_DECREF(self);
    return nullptr;
  }
  return reinterpret_cast<PyObject*>(self);
}

void program_dealloc(PyObject* object) {
  Program* self = reinterpret_cast<Program*>(object);
  PyTypeObject* type = Py_TYPE(object);
  for (Step& step : self->spec.steps) Py_CLEAR(step.callable);
  Py_CLEAR(self->spec.failures);
  self->spec.~ProgramSpec();
  Py_XDECREF(self->library);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* program_repr(PyObject* object) {
  const ProgramSpec& spec = reinterpret_cast<Program*>(object)->spec;
  return PyUnicode_FromFormat("<jitops program '%s': %zu inputs, %zu outputs>", spec.name.c_str(),
                              spec.inputs.size(), spec.outputs.size());
}

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(program_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(program_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(program_repr)},
    {Py_tp_doc, const_cast<char*>("A kernel's entry point with what it takes and gives.")},
    {0, nullptr}};

PyType_Spec type_spec = {"jitops._native.Program", sizeof(Program), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

bool add_program(PyObject* module) {
  g_program_type = add_type(module, type_spec);
  return g_program_type != nullptr;
}

}  // namespace jitops
