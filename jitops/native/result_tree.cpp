// The result of a call: its outputs as the caller's kinds of arrays, in tuples, lists and dicts.
#include "frame.h"

#include <utility>

namespace jitops {
namespace {

class Builder {
 public:
  Builder(const Binding& binding, const Call& call, Frame& frame)
      : binding_(binding), call_(call), frame_(frame) {}

  // Results in their final form, one object for each output.
  bool finish() {
    for (size_t i = 0; i < frame_.results.size(); ++i) {
      Result& result = frame_.results[i];
      void* data = std::exchange(result.data, nullptr);
      if (result.object == nullptr) {
        result.object = new_scalar(binding_.program->spec.outputs[i], data);
        memory::release(data);
      } else if (frame_.tensor != nullptr) {
        result.object = finish_tensor(*frame_.tensor, frame_.example, result.object);
      }
      if (result.object == nullptr) return false;
    }
    return true;
  }

  PyObject* build(const Node& node) const {
    switch (node.kind) {
      case NodeKind::Out: return out(node);
      case NodeKind::Arg: return share(call_.leaves[static_cast<size_t>(node.index)].object);
      case NodeKind::Cap:
        return share(source_object(binding_.spec.sources[static_cast<size_t>(node.index)], call_));
      case NodeKind::Const: return share(node.object);
      case NodeKind::Tuple: return tuple(node);
      case NodeKind::List: return list(node);
      case NodeKind::Dict: return dict(node);
      case NodeKind::NamedTuple: return named(node);
    }
    return nullptr;
  }

 private:
  static PyObject* share(PyObject* object) {
    Py_INCREF(object);
    return object;
  }

  PyObject* out(const Node& node) const {
    PyObject* object = frame_.results[static_cast<size_t>(node.index)].object;
    const bool array = PyArray_CheckExact(object);
    if (node.number && (array || PyArray_IsScalar(object, Generic))) {
      return PyObject_CallMethod(object, "item", nullptr);
    }
    if (!node.scalar || !array) return share(object);
    PyArrayObject* content = reinterpret_cast<PyArrayObject*>(object);
    return PyArray_ToScalar(PyArray_DATA(content), content);
  }

  PyObject* tuple(const Node& node) const {
    Ref made(PyTuple_New(static_cast<Py_ssize_t>(node.children.size())));
    for (size_t i = 0; made && i < node.children.size(); ++i) {
      PyObject* item = build(node.children[i]);
      if (item == nullptr) return nullptr;
      PyTuple_SET_ITEM(made.get(), static_cast<Py_ssize_t>(i), item);
    }
    return made.release();
  }

  PyObject* list(const Node& node) const {
    const Ref made(tuple(node));
    return made ? PySequence_List(made.get()) : nullptr;
  }

  PyObject* dict(const Node& node) const {
    Ref made(PyDict_New());
    for (size_t i = 0; made && i < node.children.size(); ++i) {
      const Ref item(build(node.children[i]));
      PyObject* key = PyTuple_GET_ITEM(node.object, static_cast<Py_ssize_t>(i));
      if (!item || PyDict_SetItem(made.get(), key, item.get()) != 0) return nullptr;
    }
    return made.release();
  }

  PyObject* named(const Node& node) const {
    const Ref items(tuple(node));
    return items ? PyObject_CallObject(node.object, items.get()) : nullptr;
  }

  const Binding& binding_;
  const Call& call_;
  Frame& frame_;
};

}  // namespace

PyObject* source_object(const Source& source, const Call& call) {
  return source.captured != nullptr ? source.captured
                                    : call.leaves[static_cast<size_t>(source.leaf)].object;
}

PyObject* build_result(const Binding& binding, const Call& call, Frame* frame) {
  if (binding.spec.plain && (frame->tensor == nullptr || frame->tensor->api != nullptr)) {
    return std::exchange(frame->results[0], Result{}).object;
  }
  Builder builder(binding, call, *frame);
  return builder.finish() ? builder.build(binding.spec.result) : nullptr;
}

}  // namespace jitops
