// Host steps: Python callables between an op's kernels. They get arrays over the memory that the
// kernels use, and what they give is copied to where the next kernels read it.
#include "objects.h"

#include <algorithm>
#include <cstring>

namespace jitops {
namespace {

bool read_extents(PyObject* tuple, std::vector<npy_intp>* out) {
  if (!PyTuple_Check(tuple)) return PyErr_SetString(PyExc_TypeError, "a tuple is needed"), false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    out->push_back(PyLong_AsSsize_t(PyTuple_GET_ITEM(tuple, i)));
    if (out->back() == -1 && PyErr_Occurred()) return false;
  }
  return true;
}

// Whether every element of the view lies in a buffer of this many bytes.
bool inside(const View& view, size_t bytes) {
  npy_intp low = 0, high = static_cast<npy_intp>(dtype_size(view.dtype));
  for (size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] == 0) return true;
    const npy_intp reach = (view.shape[i] - 1) * view.strides[i];
    (reach < 0 ? low : high) += reach;
  }
  const npy_intp start = static_cast<npy_intp>(view.offset);
  return start + low >= 0 && start + high <= static_cast<npy_intp>(bytes);
}

// An input is read with the strides its kernels know, so that only other buffers need the check.
bool in_bounds(const View& view, const ProgramSpec& program, bool written) {
  const size_t inputs = program.inputs.size(), outputs = program.outputs.size();
  const size_t buffer = static_cast<size_t>(view.buffer);
  if (buffer < inputs) {
    const InputSpec& input = program.inputs[buffer];
    const bool alike =
        std::equal(view.shape.begin(), view.shape.end(), input.shape.begin(), input.shape.end()) &&
        view.dtype == input.dtype && view.offset == 0;
    return alike && (!written || input.mutated);
  }
  if (buffer > inputs + outputs) return false;
  return inside(
      view, buffer < inputs + outputs ? program.outputs[buffer - inputs].bytes : program.workspace);
}

bool read_view(PyObject* item, const ProgramSpec& program, bool written, View* view) {
  if (item == Py_None) return true;
  const char* dtype = nullptr;
  Py_ssize_t offset = 0;
  PyObject *shape, *strides;
  if (!PyTuple_Check(item)) return PyErr_SetString(PyExc_TypeError, "a view is a tuple"), false;
  if (!PyArg_ParseTuple(item, "insOO;a view is (buffer, offset, dtype, shape, strides)",
                        &view->buffer, &offset, &dtype, &shape, &strides) ||
      !read_extents(shape, &view->shape) || !read_extents(strides, &view->strides)) {
    return false;
  }
  view->offset = static_cast<size_t>(offset);
  view->dtype = dtype_from_name(dtype);
  const bool sound =
      view->dtype != DType::Invalid && view->buffer >= 0 && offset >= 0 &&
      view->shape.size() == view->strides.size() &&
      std::all_of(view->shape.begin(), view->shape.end(), [](npy_intp n) { return n >= 0; });
  if (sound && in_bounds(*view, program, written)) {
    if (static_cast<size_t>(view->buffer) < program.inputs.size()) {
      const auto& layout = program.inputs[static_cast<size_t>(view->buffer)].strides;
      view->strides.assign(layout.begin(), layout.end());
    }
    return true;
  }
  PyErr_Format(PyExc_ValueError, "a host step refers to memory that the program lacks: %R", item);
  return false;
}

bool read_views(PyObject* sequence, const ProgramSpec& program, bool written,
                std::vector<View>* views) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  views->resize(static_cast<size_t>(PyTuple_GET_SIZE(items.get())));
  for (size_t i = 0; i < views->size(); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i));
    if (!read_view(item, program, written, &(*views)[i])) return false;
    if (!written && (*views)[i].buffer < 0) {
      return PyErr_SetString(PyExc_ValueError, "a host step reads nowhere"), false;
    }
  }
  return true;
}

bool read_step(PyObject* item, const ProgramSpec& program, Step* step) {
  if (!PyTuple_Check(item) || (PyTuple_GET_SIZE(item) != 1 && PyTuple_GET_SIZE(item) != 3)) {
    PyErr_SetString(PyExc_TypeError, "a step is (address,) or (callable, reads, writes)");
    return false;
  }
  PyObject* first = PyTuple_GET_ITEM(item, 0);
  if (PyTuple_GET_SIZE(item) == 1) {
    step->entry =
        reinterpret_cast<KernelEntry>(static_cast<uintptr_t>(PyLong_AsUnsignedLongLong(first)));
    if (step->entry == nullptr && !PyErr_Occurred()) {
      PyErr_SetString(PyExc_ValueError, "a step's address is null");
    }
    return PyErr_Occurred() == nullptr;
  }
  Py_INCREF(first);
  step->callable = first;
  return read_views(PyTuple_GET_ITEM(item, 1), program, false, &step->reads) &&
         read_views(PyTuple_GET_ITEM(item, 2), program, true, &step->writes);
}

PyObject* array_over(const View& view, void* data, int flags) {
  PyArray_Descr* descr = dtype_descr(view.dtype);
  if (descr == nullptr) return nullptr;
  Py_INCREF(descr);
  return PyArray_NewFromDescr(&PyArray_Type, descr, static_cast<int>(view.shape.size()),
                              view.shape.data(), view.strides.data(), data, flags, nullptr);
}

// What the callable gets may outlive the call, in a traceback for example: it owns its memory, or
// keeps the owner alive.
PyObject* operand(const View& view, void* const* buffers, PyObject* const* owners) {
  const size_t buffer = static_cast<size_t>(view.buffer);
  void* data = static_cast<char*>(buffers[buffer]) + view.offset;
  Ref array(array_over(view, data, 0));
  if (!array) return nullptr;
  PyArrayObject* made = reinterpret_cast<PyArrayObject*>(array.get());
  if (owners[buffer] == nullptr) return PyArray_NewCopy(made, NPY_CORDER);
  Py_INCREF(owners[buffer]);
  if (PyArray_SetBaseObject(made, owners[buffer]) != 0) return nullptr;
  return array.release();
}

bool copy_result(const View& view, void* const* buffers, PyObject* value) {
  if (view.buffer < 0) return true;
  if (!PyArray_Check(value)) {
    PyErr_Format(PyExc_TypeError, "a host step gives arrays, found %s", Py_TYPE(value)->tp_name);
    return false;
  }
  void* data = static_cast<char*>(buffers[view.buffer]) + view.offset;
  const Ref target(array_over(view, data, NPY_ARRAY_WRITEABLE));
  return target && PyArray_CopyInto(reinterpret_cast<PyArrayObject*>(target.get()),
                                    reinterpret_cast<PyArrayObject*>(value)) == 0;
}

}  // namespace

bool read_steps(PyObject* sequence, ProgramSpec* program) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  program->steps.resize(static_cast<size_t>(PyTuple_GET_SIZE(items.get())));
  for (size_t i = 0; i < program->steps.size(); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i));
    if (!read_step(item, *program, &program->steps[i])) return false;
  }
  return true;
}

bool run_host(const Step& step, void* const* buffers, PyObject* const* owners, PyObject* objects) {
  const Ref operands(PyTuple_New(static_cast<Py_ssize_t>(step.reads.size())));
  if (!operands) return false;
  for (size_t i = 0; i < step.reads.size(); ++i) {
    PyObject* array = operand(step.reads[i], buffers, owners);
    if (array == nullptr) return false;
    PyTuple_SET_ITEM(operands.get(), static_cast<Py_ssize_t>(i), array);
  }
  const Ref answer(PyObject_CallFunctionObjArgs(step.callable, operands.get(), objects, nullptr));
  if (!answer) return false;
  if (!PyTuple_Check(answer.get()) ||
      static_cast<size_t>(PyTuple_GET_SIZE(answer.get())) != step.writes.size()) {
    PyErr_Format(PyExc_TypeError, "a host step gives a tuple of %zu arrays, found %R",
                 step.writes.size(), answer.get());
    return false;
  }
  for (size_t i = 0; i < step.writes.size(); ++i) {
    PyObject* value = PyTuple_GET_ITEM(answer.get(), static_cast<Py_ssize_t>(i));
    if (!copy_result(step.writes[i], buffers, value)) return false;
  }
  return true;
}

}  // namespace jitops
