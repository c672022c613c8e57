// Binding: a program joined to the arguments of one signature and to the form of its result; Value:
// a ready result.
#include "objects.h"

#include <cstring>
#include <new>

namespace jitops {

PyTypeObject* g_binding_type;
PyTypeObject* g_value_type;

namespace {

bool parse_node(PyObject* object, const ProgramSpec& program, Node* node);

bool parse_children(PyObject* sequence, const ProgramSpec& program, Node* node) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  node->children.resize(static_cast<size_t>(PyTuple_GET_SIZE(items.get())));
  for (size_t i = 0; i < node->children.size(); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i));
    if (!parse_node(item, program, &node->children[i])) return false;
  }
  return true;
}

bool parse_dict(PyObject* pairs, const ProgramSpec& program, Node* node) {
  const Ref items(PySequence_Tuple(pairs));
  if (!items) return false;
  const Py_ssize_t n = PyTuple_GET_SIZE(items.get());
  const Ref keys(PyTuple_New(n));
  if (!keys) return false;
  node->children.resize(static_cast<size_t>(n));
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject *key, *value;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(items.get(), i),
                          "OO;a dict result is ((key, tree), ...)", &key, &value)) {
      return false;
    }
    Py_INCREF(key);
    PyTuple_SET_ITEM(keys.get(), i, key);
    if (!parse_node(value, program, &node->children[static_cast<size_t>(i)])) return false;
  }
  Py_INCREF(keys.get());
  node->object = keys.get();
  return true;
}

bool parse_index(PyObject* object, size_t bound, const char* what, int* out) {
  const long value = PyLong_AsLong(object);
  if (value == -1 && PyErr_Occurred()) return false;
  if (value >= 0 && static_cast<size_t>(value) < bound) {
    *out = static_cast<int>(value);
    return true;
  }
  PyErr_Format(PyExc_ValueError, "result refers to %s %ld, there are %zu", what, value, bound);
  return false;
}

bool parse_out(PyObject* tree, const ProgramSpec& program, Node* node) {
  if (!parse_index(PyTuple_GET_ITEM(tree, 1), program.outputs.size(), "output", &node->index)) {
    return false;
  }
  const char* kind =
      PyTuple_GET_SIZE(tree) > 2 ? PyUnicode_AsUTF8(PyTuple_GET_ITEM(tree, 2)) : "array";
  if (kind == nullptr) return false;
  node->number = std::strcmp(kind, "number") == 0;
  node->scalar = (node->number || std::strcmp(kind, "scalar") == 0) &&
                 program.outputs[static_cast<size_t>(node->index)].shape.empty();
  return true;
}

bool parse_kind(const char* kind, PyObject* tree, const ProgramSpec& program, Node* node) {
  PyObject* first = PyTuple_GET_ITEM(tree, 1);
  const std::string name = kind;
  if (name == "out") return node->kind = NodeKind::Out, parse_out(tree, program, node);
  if (name == "arg") {
    return node->kind = NodeKind::Arg, parse_index(first, 1u << 20, "argument", &node->index);
  }
  if (name == "cap") {
    return node->kind = NodeKind::Cap,
           parse_index(first, program.inputs.size(), "input", &node->index);
  }
  if (name == "const") {
    Py_INCREF(first);
    return node->kind = NodeKind::Const, node->object = first, true;
  }
  if (name == "tuple" || name == "list") {
    node->kind = name == "tuple" ? NodeKind::Tuple : NodeKind::List;
    return parse_children(first, program, node);
  }
  if (name == "dict") return node->kind = NodeKind::Dict, parse_dict(first, program, node);
  if (name == "namedtuple" && PyTuple_GET_SIZE(tree) == 3) {
    node->kind = NodeKind::NamedTuple;
    Py_INCREF(first);
    node->object = first;
    return parse_children(PyTuple_GET_ITEM(tree, 2), program, node);
  }
  PyErr_Format(PyExc_ValueError, "unknown result '%s'", kind);
  return false;
}

bool parse_node(PyObject* tree, const ProgramSpec& program, Node* node) {
  if (!PyTuple_Check(tree) || PyTuple_GET_SIZE(tree) < 2 ||
      !PyUnicode_Check(PyTuple_GET_ITEM(tree, 0))) {
    PyErr_Format(PyExc_TypeError, "a result is a tuple such as ('out', 0, 'array'), found %R",
                 tree);
    return false;
  }
  const char* kind = PyUnicode_AsUTF8(PyTuple_GET_ITEM(tree, 0));
  if (kind == nullptr || Py_EnterRecursiveCall(" while reading a result") != 0) return false;
  const bool ok = parse_kind(kind, tree, program, node);
  Py_LeaveRecursiveCall();
  return ok;
}

void count_uses(const Node& node, std::vector<char>* scalar, std::vector<char>* array) {
  if (node.kind == NodeKind::Out) (node.scalar ? *scalar : *array)[node.index] = 1;
  for (const Node& child : node.children) count_uses(child, scalar, array);
}

bool parse_sources(PyObject* sequence, const ProgramSpec& program, BindingSpec* spec) {
  const Ref items(PySequence_Tuple(sequence));
  if (!items) return false;
  const size_t n = static_cast<size_t>(PyTuple_GET_SIZE(items.get()));
  if (n != program.inputs.size()) {
    PyErr_Format(PyExc_ValueError, "the program has %zu inputs, found %zu sources",
                 program.inputs.size(), n);
    return false;
  }
  spec->sources.resize(n);
  for (size_t i = 0; i < n; ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i));
    Source& source = spec->sources[i];
    if (program.inputs[i].size) {
      if (!PyArg_ParseTuple(item, "ii;the source of a size is (argument, axis)", &source.leaf,
                            &source.axis)) {
        return false;
      }
    } else if (PyLong_Check(item)) {
      if (!parse_index(item, 1u << 20, "argument", &source.leaf)) return false;
    } else if (PyArray_Check(item) && !program.inputs[i].scalar) {
      Py_INCREF(item);
      source.captured = item;
    } else {
      PyErr_Format(PyExc_TypeError,
                   "source %zu is an argument's index or a captured ndarray, "
                   "found %s",
                   i, Py_TYPE(item)->tp_name);
      return false;
    }
  }
  return true;
}

bool parse_guards(PyObject* items, BindingSpec* spec) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); ++i) {
    PyObject *holder, *key, *expected;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(items, i),
                          "OOO;a guard is (dict, key, object) or (cell, None, object)", &holder,
                          &key, &expected)) {
      return false;
    }
    if (PyCell_Check(holder) ? key != Py_None
                             : !(PyDict_CheckExact(holder) && PyUnicode_CheckExact(key))) {
      PyErr_Format(PyExc_TypeError,
                   "guard %zd: accepted are a dict and a str, or a cell and None, found %s and %s",
                   i, Py_TYPE(holder)->tp_name, Py_TYPE(key)->tp_name);
      return false;
    }
    Py_INCREF(holder);
    Py_INCREF(key);
    Py_INCREF(expected);
    spec->guards.push_back({holder, key, expected});
  }
  return true;
}

bool fill(BindingSpec* spec, const ProgramSpec& program, PyObject* sources, PyObject* result,
          PyObject* guards) {
  if (!parse_sources(sources, program, spec)) return false;
  if (guards != nullptr && !parse_guards(guards, spec)) return false;
  if (!parse_node(result, program, &spec->result)) return false;
  std::vector<char> array(program.outputs.size(), 0);
  spec->scalar_out.assign(program.outputs.size(), 0);
  count_uses(spec->result, &spec->scalar_out, &array);
  for (size_t i = 0; i < array.size(); ++i) {
    if (array[i]) spec->scalar_out[i] = 0;
  }
  spec->plain =
      spec->result.kind == NodeKind::Out && !spec->result.scalar && program.outputs.size() == 1;
  spec->direct = spec->plain && program.mutated.empty() && program.inputs.size() <= kDirect &&
                 !program.parallel && !program.release_gil && program.workspace == 0 &&
                 program.steps.empty() && program.open_workspace.empty();
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const bool array = !program.inputs[i].scalar && spec->sources[i].captured == nullptr;
    if (!array && !program.inputs[i].size) spec->direct = false;
  }
  return true;
}

PyObject* binding_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"program", "sources", "result", "objects", "guards", nullptr};
  PyObject *program, *sources, *result, *objects = nullptr, *guards = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO|O!O!", const_cast<char**>(names),
                                   g_program_type, &program, &sources, &result, &PyTuple_Type,
                                   &objects, &PyTuple_Type, &guards)) {
    return nullptr;
  }
  const Ref held(objects == nullptr ? PyTuple_New(0) : (Py_INCREF(objects), objects));
  if (!held) return nullptr;
  Binding* self = reinterpret_cast<Binding*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  new (&self->spec) BindingSpec;
  Py_INCREF(held.get());
  self->spec.objects = held.get();
  Py_INCREF(program);
  self->program = reinterpret_cast<Program*>(program);
  if (!fill(&self->spec, self->program->spec, sources, result, guards)) {
    Py_DECREF(self);
    return nullptr;
  }
  return reinterpret_cast<PyObject*>(self);
}

int visit_node(const Node& node, visitproc visit, void* arg) {
  Py_VISIT(node.object);
  for (const Node& child : node.children) {
    if (const int stop = visit_node(child, visit, arg)) return stop;
  }
  return 0;
}

int binding_traverse(PyObject* object, visitproc visit, void* arg) {
  Binding* self = reinterpret_cast<Binding*>(object);
  Py_VISIT(Py_TYPE(object));
  for (const Source& source : self->spec.sources) Py_VISIT(source.captured);
  for (const Guard& guard : self->spec.guards) {
    Py_VISIT(guard.holder);
    Py_VISIT(guard.expected);
  }
  Py_VISIT(self->spec.objects);
  return visit_node(self->spec.result, visit, arg);
}

void clear_node(Node* node) {
  Py_CLEAR(node->object);
  for (Node& child : node->children) clear_node(&child);
}

void binding_dealloc(PyObject* object) {
  Binding* self = reinterpret_cast<Binding*>(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  for (Source& source : self->spec.sources) Py_CLEAR(source.captured);
  for (Guard& guard : self->spec.guards) {
    Py_CLEAR(guard.holder);
    Py_CLEAR(guard.key);
    Py_CLEAR(guard.expected);
  }
  Py_CLEAR(self->spec.objects);
  clear_node(&self->spec.result);
  self->spec.~BindingSpec();
  Py_XDECREF(self->program);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* binding_repr(PyObject* object) {
  return PyUnicode_FromFormat("<jitops binding of %R>",
                              reinterpret_cast<Binding*>(object)->program);
}

PyObject* value_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"object", nullptr};
  PyObject* object;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", const_cast<char**>(names), &object)) {
    return nullptr;
  }
  Value* self = reinterpret_cast<Value*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  Py_INCREF(object);
  self->object = object;
  return reinterpret_cast<PyObject*>(self);
}

int value_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(reinterpret_cast<Value*>(object)->object);
  return 0;
}

int value_clear(PyObject* object) {
  Py_CLEAR(reinterpret_cast<Value*>(object)->object);
  return 0;
}

void value_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  value_clear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyType_Slot binding_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(binding_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(binding_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(binding_traverse)},
    {Py_tp_repr, reinterpret_cast<void*>(binding_repr)},
    {Py_tp_doc, const_cast<char*>("A program joined to one signature's arguments and result.")},
    {0, nullptr}};

PyType_Spec binding_spec = {"jitops._native.Binding", sizeof(Binding), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
                            binding_slots};

PyType_Slot value_slots[] = {{Py_tp_new, reinterpret_cast<void*>(value_new)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(value_dealloc)},
                             {Py_tp_traverse, reinterpret_cast<void*>(value_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(value_clear)},
                             {Py_tp_doc, const_cast<char*>("A ready result, returned by a miss.")},
                             {0, nullptr}};

PyType_Spec value_spec = {"jitops._native.Value", sizeof(Value), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
                          value_slots};

}  // namespace

bool add_binding(PyObject* module) {
  g_binding_type = add_type(module, binding_spec);
  g_value_type = add_type(module, value_spec);
  return g_binding_type != nullptr && g_value_type != nullptr;
}

}  // namespace jitops
