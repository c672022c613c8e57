// Dispatcher: the callable in front of an op. A known signature runs its program; an unknown one
// asks `miss`.
#include "objects.h"

#include <utility>
#include <structmember.h>

#include <cstddef>
#include <new>

namespace jitops {

PyTypeObject* g_dispatcher_type;

namespace {

struct Core {
  Table table;
  Parameters parameters;
  std::string op;
  PyObject* miss = nullptr;  // owned, as are the tuples in `parameters`
  int threads = 0;
  uint64_t hits = 0;
};

struct Dispatcher {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* dict;
  PyObject* weakrefs;
  Core* core;
};

Dispatcher* as_dispatcher(PyObject* object) { return reinterpret_cast<Dispatcher*>(object); }

PyObject* tuple_of(PyObject* const* items, Py_ssize_t count) {
  PyObject* tuple = PyTuple_New(count);
  for (Py_ssize_t i = 0; tuple != nullptr && i < count; ++i) {
    Py_INCREF(items[i]);
    PyTuple_SET_ITEM(tuple, i, items[i]);
  }
  return tuple;
}

PyObject* keywords_dict(PyObject* const* values, PyObject* names) {
  Ref dict(PyDict_New());
  for (Py_ssize_t i = 0; dict && names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
    if (PyDict_SetItem(dict.get(), PyTuple_GET_ITEM(names, i), values[i]) != 0) return nullptr;
  }
  return dict.release();
}

// The signature is read again after a miss: it ran Python code, which may have changed the
// arguments. A call that cannot be told apart by its signature (`matchable` false) is never
// inserted.
PyObject* run_missed(Core& core, PyObject* args, PyObject* kwargs, PyObject* bound) {
  Call call;
  if (!Flattener(call, core.parameters, false).run(args, kwargs)) return nullptr;
  Binding& binding = *reinterpret_cast<Binding*>(bound);
  std::string why;
  if (!binding_fits(binding, call, &why)) {
    PyErr_Format(PyExc_RuntimeError, "op '%s': %s", core.op.c_str(), why.c_str());
    return nullptr;
  }
  if (call.matchable && !core.table.insert(call, bound, open_words(binding, call))) return nullptr;
  PyObject* result = nullptr;
  switch (run_binding(binding, call, core.threads, &result)) {
    case Outcome::Done: return result;
    case Outcome::Failed: return nullptr;
    case Outcome::Miss: break;
  }
  PyErr_Format(
      PyExc_RuntimeError,
      "op '%s': the binding returned by a miss does not take this call's values (an integer "
      "out of bounds, or a written argument that is read-only or overlaps another)",
      core.op.c_str());
  return nullptr;
}

PyObject* missed(Core& core, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  const Ref miss = Ref::borrow(core.miss);
  const Ref positional(tuple_of(args, count));
  const Ref keywords(keywords_dict(args + count, names));
  if (!miss || !positional || !keywords) return nullptr;
  const Ref answer(
      PyObject_CallFunctionObjArgs(miss.get(), positional.get(), keywords.get(), nullptr));
  if (!answer) return nullptr;
  if (Py_TYPE(answer.get()) == g_binding_type) {
    return run_missed(core, positional.get(), keywords.get(), answer.get());
  }
  if (Py_TYPE(answer.get()) == g_value_type) {
    PyObject* object = reinterpret_cast<Value*>(answer.get())->object;
    Py_XINCREF(object);
    return object;
  }
  PyErr_Format(PyExc_TypeError, "the miss of op '%s' must return a Binding or a Value, found %s",
               core.op.c_str(), Py_TYPE(answer.get())->tp_name);
  return nullptr;
}

PyObject* dispatch(PyObject* object, PyObject* const* args, size_t nargsf, PyObject* names) {
  Core* core = as_dispatcher(object)->core;
  if (__builtin_expect(core == nullptr, 0)) {
    PyErr_SetString(PyExc_RuntimeError, "this dispatcher was not initialised");
    return nullptr;
  }
  const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
  {
    Call call;
    Flattener flattener(call, core->parameters, false);
    if (!flattener.run(args, static_cast<size_t>(count), names)) return nullptr;
    const Ref bound(call.matchable ? core->table.find(call) : nullptr);
    if (bound) {
      PyObject* result = nullptr;
      Binding& binding = *reinterpret_cast<Binding*>(bound.get());
      Outcome outcome = check_guards(binding);
      if (outcome == Outcome::Done) {
        outcome = run_binding(binding, call, core->threads, &result);
      }
      if (__builtin_expect(outcome == Outcome::Done, 1)) {
        ++core->hits;
        return result;
      }
      if (outcome == Outcome::Failed) return nullptr;
    } else if (__builtin_expect(PyErr_Occurred() != nullptr, 0)) {
      return nullptr;
    }
  }
  return missed(*core, args, count, names);
}

// Python subclasses do not inherit these flags before Python 3.12. Both hold as long as the slots
// are ours.
void share_flags(PyTypeObject* type) {
  if (type->tp_call == PyVectorcall_Call) type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
  if (type->tp_descr_get == g_dispatcher_type->tp_descr_get) {
    type->tp_flags |= Py_TPFLAGS_METHOD_DESCRIPTOR;
  }
}

PyObject* dispatcher_new(PyTypeObject* type, PyObject*, PyObject*) {
  share_flags(type);
  Dispatcher* self = as_dispatcher(type->tp_alloc(type, 0));
  if (self != nullptr) self->vectorcall = dispatch;
  return reinterpret_cast<PyObject*>(self);
}

Ref name_tuple(PyObject* names) {
  Ref tuple(names == nullptr || names == Py_None ? PyTuple_New(0) : PySequence_Tuple(names));
  for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple.get()); ++i) {
    PyObject* name = PyTuple_GET_ITEM(tuple.get(), i);
    if (!PyUnicode_Check(name)) {
      PyErr_Format(PyExc_TypeError, "parameter names are strings, found %R", name);
      tuple.reset();
    }
  }
  return tuple;
}

bool mark_static(Parameters* parameters) {
  const Py_ssize_t count = PyTuple_GET_SIZE(parameters->names);
  parameters->is_static.clear();
  if (PyTuple_GET_SIZE(parameters->static_names) == 0) return true;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(parameters->names, i);
    const int found = PySequence_Contains(parameters->static_names, name);
    if (found < 0) return false;
    parameters->is_static.push_back(static_cast<char>(found));
  }
  return true;
}

void destroy(Core* core) {
  core->table.clear();
  Py_XDECREF(core->parameters.names);
  Py_XDECREF(core->parameters.static_names);
  Py_XDECREF(core->miss);
  delete core;
}

bool read_threads(PyObject* object, int* out) {
  if (object == nullptr || object == Py_None) return true;
  const long value = PyLong_AsLong(object);
  if (value == -1 && PyErr_Occurred()) return false;
  if (value < 1 || value > 1 << 20) {
    PyErr_Format(PyExc_ValueError, "threads must be at least 1, found %ld", value);
    return false;
  }
  *out = static_cast<int>(value);
  return true;
}

int dispatcher_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* const keys[] = {"name",       "miss",    "static_names",
                                     "parameters", "threads", nullptr};
  const char* name = nullptr;
  PyObject *miss, *statics = nullptr, *parameters = nullptr, *threads = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|OOO", const_cast<char**>(keys), &name, &miss,
                                   &statics, &parameters, &threads)) {
    return -1;
  }
  Dispatcher* self = as_dispatcher(object);
  if (self->core != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "a dispatcher is initialised once");
    return -1;
  }
  Ref static_tuple = name_tuple(statics);
  Ref parameter_tuple = name_tuple(parameters);
  int limit = 0;
  if (!static_tuple || !parameter_tuple || !read_threads(threads, &limit)) return -1;
  Core* core = new Core;
  core->op = name;
  core->parameters.op = core->op.c_str();
  core->parameters.names = parameter_tuple.release();
  core->parameters.static_names = static_tuple.release();
  core->threads = limit;
  Py_INCREF(miss);
  core->miss = miss;
  if (!mark_static(&core->parameters)) return destroy(core), -1;
  self->core = core;
  return 0;
}

int dispatcher_traverse(PyObject* object, visitproc visit, void* arg) {
  Dispatcher* self = as_dispatcher(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->dict);
  if (self->core == nullptr) return 0;
  Py_VISIT(self->core->miss);
  return self->core->table.visit(visit, arg);
}

int dispatcher_clear(PyObject* object) {
  Dispatcher* self = as_dispatcher(object);
  Py_CLEAR(self->dict);
  if (self->core != nullptr) {
    self->core->table.clear();
    Py_CLEAR(self->core->miss);
  }
  return 0;
}

void dispatcher_dealloc(PyObject* object) {
  Dispatcher* self = as_dispatcher(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
  Py_CLEAR(self->dict);
  if (self->core != nullptr) destroy(std::exchange(self->core, nullptr));
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* dispatcher_get(PyObject* object, PyObject* instance, PyObject*) {
  if (instance == nullptr || instance == Py_None) {
    Py_INCREF(object);
    return object;
  }
  return PyMethod_New(object, instance);
}

Core* core_of(PyObject* object) {
  Core* core = as_dispatcher(object)->core;
  if (core == nullptr) PyErr_SetString(PyExc_RuntimeError, "this dispatcher was not initialised");
  return core;
}

PyObject* dispatcher_repr(PyObject* object) {
  const Core* core = as_dispatcher(object)->core;
  return PyUnicode_FromFormat("<%s '%s'>", Py_TYPE(object)->tp_name,
                              core == nullptr ? "?" : core->op.c_str());
}

bool parse_call(PyObject* args, PyObject* kwargs, PyObject* extra) {
  if (!PyTuple_Check(args) || (kwargs != Py_None && !PyDict_Check(kwargs))) {
    PyErr_SetString(PyExc_TypeError, "arguments are a tuple and a dict (or None)");
    return false;
  }
  if (extra == nullptr || Py_TYPE(extra) == g_binding_type) return true;
  PyErr_Format(PyExc_TypeError, "a Binding is needed, found %s", Py_TYPE(extra)->tp_name);
  return false;
}

PyObject* dispatcher_insert(PyObject* object, PyObject* arguments) {
  PyObject *args, *kwargs, *bound;
  Core* core = core_of(object);
  if (core == nullptr || !PyArg_ParseTuple(arguments, "OOO", &args, &kwargs, &bound) ||
      !parse_call(args, kwargs, bound)) {
    return nullptr;
  }
  Call call;
  if (!Flattener(call, core->parameters, true).run(args, kwargs)) return nullptr;
  const Binding& binding = *reinterpret_cast<Binding*>(bound);
  std::string why = "a misaligned, byte-swapped or foreign argument has no signature";
  if (!call.matchable || !binding_fits(binding, call, &why)) {
    PyErr_Format(PyExc_ValueError, "op '%s': %s", core->op.c_str(), why.c_str());
    return nullptr;
  }
  if (!core->table.insert(call, bound, open_words(binding, call))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* dims_tuple(const uint64_t* words, size_t count) {
  Ref tuple(PyTuple_New(static_cast<Py_ssize_t>(count)));
  for (size_t i = 0; tuple && i < count; ++i) {
    PyObject* item = PyLong_FromLongLong(static_cast<long long>(words[i]));
    if (item == nullptr) return nullptr;
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), item);
  }
  return tuple.release();
}

PyObject* leaf_tuple(const Call& call, const Leaf& leaf) {
  constexpr const char* kinds[] = {"array", "tensor",  "scalar", "int",
                                   "float", "complex", "object"};
  const char* kind = kinds[static_cast<int>(leaf.kind)];
  const char* dtype = leaf.dtype == DType::Invalid ? nullptr : dtype_name(leaf.dtype);
  const bool array = leaf.kind == LeafKind::Array || leaf.kind == LeafKind::Tensor;
  const uint64_t* words = call.words.begin() + leaf.word;
  const Ref shape(array ? dims_tuple(words, leaf.ndim) : (Py_INCREF(Py_None), Py_None));
  const Ref strides(array && leaf.strided() ? dims_tuple(words + leaf.ndim, leaf.ndim)
                                            : (Py_INCREF(Py_None), Py_None));
  if (!shape || !strides) return nullptr;
  return Py_BuildValue("(OszOOOO)", leaf.object, kind, dtype, shape.get(), strides.get(),
                       leaf.fits() ? Py_True : Py_False, leaf.writable() ? Py_True : Py_False);
}

PyObject* dispatcher_leaves(PyObject* object, PyObject* arguments) {
  PyObject *args, *kwargs;
  Core* core = core_of(object);
  if (core == nullptr || !PyArg_ParseTuple(arguments, "OO", &args, &kwargs) ||
      !parse_call(args, kwargs, nullptr)) {
    return nullptr;
  }
  Call call;
  if (!Flattener(call, core->parameters, true).run(args, kwargs)) return nullptr;
  Ref list(PyList_New(0));
  for (size_t i = 0; list && i < call.leaves.size(); ++i) {
    const Ref item(leaf_tuple(call, call.leaves[i]));
    if (!item || PyList_Append(list.get(), item.get()) != 0) return nullptr;
  }
  return list.release();
}

PyObject* dispatcher_clear_table(PyObject* object, PyObject*) {
  Core* core = core_of(object);
  if (core == nullptr) return nullptr;
  core->table.clear();
  Py_RETURN_NONE;
}

PyObject* get_hits(PyObject* object, void*) {
  const Core* core = core_of(object);
  return core == nullptr ? nullptr : PyLong_FromUnsignedLongLong(core->hits);
}

PyObject* get_size(PyObject* object, void*) {
  const Core* core = core_of(object);
  return core == nullptr ? nullptr : PyLong_FromSize_t(core->table.size());
}

PyObject* dispatcher_set_static(PyObject* object, PyObject* names) {
  Core* core = core_of(object);
  if (core == nullptr) return nullptr;
  Ref tuple = name_tuple(names);
  if (!tuple) return nullptr;
  const Ref old(std::exchange(core->parameters.static_names, tuple.release()));
  core->table.clear();
  if (!mark_static(&core->parameters)) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"insert", dispatcher_insert, METH_VARARGS,
     "insert(args, kwargs, binding)\n\nMake a binding the answer to calls like this one."},
    {"leaves", dispatcher_leaves, METH_VARARGS,
     "leaves(args, kwargs)\n\nThe dynamic leaves of a call, in the order bindings refer to: "
     "(object, "
     "kind, dtype, shape, strides, fits, writable)."},
    {"set_static", dispatcher_set_static, METH_O,
     "set_static(names)\n\nReplace the static parameters; all signatures are forgotten."},
    {"clear", dispatcher_clear_table, METH_NOARGS, "clear()\n\nForget all signatures."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {"hits", get_hits, nullptr, "Calls answered without running Python code.", nullptr},
    {"size", get_size, nullptr, "Number of known signatures.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Dispatcher, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Dispatcher, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Dispatcher, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(dispatcher_new)},
                       {Py_tp_init, reinterpret_cast<void*>(dispatcher_init)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dispatcher_dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(dispatcher_traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(dispatcher_clear)},
                       {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                       {Py_tp_descr_get, reinterpret_cast<void*>(dispatcher_get)},
                       {Py_tp_repr, reinterpret_cast<void*>(dispatcher_repr)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {Py_tp_members, members},
                       {0, nullptr}};

PyType_Spec type_spec = {"jitops._native.Dispatcher", sizeof(Dispatcher), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
                             Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
                         slots};

}  // namespace

bool add_dispatcher(PyObject* module) {
  g_dispatcher_type = add_type(module, type_spec);
  return g_dispatcher_type != nullptr;
}

}  // namespace jitops
