#include "flatten.h"

#include <cstring>

namespace jitops {
namespace {

constexpr int kDepthLimit = 100;

uint64_t bits(double value) {
  uint64_t word;
  std::memcpy(&word, &value, sizeof word);
  return word;
}

}  // namespace

bool Parameters::keyword_is_static(PyObject* name) const {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(static_names); ++i) {
    PyObject* known = PyTuple_GET_ITEM(static_names, i);
    if (known == name || PyUnicode_Compare(known, name) == 0) return true;
  }
  return false;
}

// "argument 'axis'" or "argument 2", for messages.
Ref Flattener::argument() const {
  PyObject* name = keyword_;
  const Py_ssize_t i = static_cast<Py_ssize_t>(position_);
  if (name == nullptr && parameters_.names != nullptr && i < PyTuple_GET_SIZE(parameters_.names)) {
    name = PyTuple_GET_ITEM(parameters_.names, i);
  }
  return Ref(name != nullptr ? PyUnicode_FromFormat("argument %R", name)
                             : PyUnicode_FromFormat("argument %zd", i));
}

inline bool Flattener::array(PyObject* object, Tag tag) {
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
  PyArray_Descr* descr = PyArray_DESCR(array);
  const unsigned ndim = static_cast<unsigned>(PyArray_NDIM(array));
  const int flags = PyArray_FLAGS(array);
  const bool strided = (flags & NPY_ARRAY_C_CONTIGUOUS) == 0;
  const DType dtype = dtype_of(descr);
  const bool fits = dtype != DType::Invalid && PyArray_ISNBO(descr->byteorder);
  const unsigned form = (strided ? kStrided : 0u) |
                        ((flags & NPY_ARRAY_WRITEABLE) != 0 ? kWritable : 0u) |
                        (fits && (flags & NPY_ARRAY_ALIGNED) != 0 ? kFits : 0u);
  auto& words = call_.words;
  words.reserve(2 * ndim + 2);
  words.push_reserved(head(tag, dtype, ndim, strided));
  if (__builtin_expect(tag == Tag::ArrayOfType, 0)) {
    words.push_reserved(address(Py_TYPE(object)));
    call_.objects.push({reinterpret_cast<PyObject*>(Py_TYPE(object)), false});
  }
  const size_t at = words.size();
  const npy_intp* shape = PyArray_DIMS(array);
  for (unsigned i = 0; i < ndim; ++i) words.push_reserved(static_cast<uint64_t>(shape[i]));
  if (__builtin_expect(strided, 0)) {
    const npy_intp* strides = PyArray_STRIDES(array);
    for (unsigned i = 0; i < ndim; ++i) {
      words.push_reserved(shape[i] == 1 ? 0 : static_cast<uint64_t>(strides[i]));
    }
  }
  call_.matchable &= static_cast<uint8_t>(form);
  call_.leaves.push({object, PyArray_DATA(array), static_cast<uint32_t>(at), LeafKind::Array, dtype,
                     static_cast<uint8_t>(ndim), static_cast<uint8_t>(form)});
  return true;
}

void Flattener::weak(PyObject* object, Tag tag, LeafKind kind) {
  call_.words.push(head(tag));
  call_.leaves.push({object, nullptr, 0, kind, DType::Invalid, 0, kFits});
}

inline bool Flattener::dynamic(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyArray_Type) return array(object, Tag::Array);
  if (type == &PyFloat_Type) return weak(object, Tag::WeakFloat, LeafKind::WeakFloat), true;
  if (type == &PyLong_Type) return weak(object, Tag::WeakInt, LeafKind::WeakInt), true;
  return other(object);
}

bool Flattener::run(PyObject* const* args, size_t count, PyObject* keywords) {
  const size_t statics = parameters_.is_static.size();
  for (size_t i = 0; i < count; ++i) {
    position_ = i;
    const bool is_static = i < statics && parameters_.is_static[i];
    if (!(is_static ? static_value(args[i]) : dynamic(args[i]))) return false;
  }
  if (keywords == nullptr) return true;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keywords); ++i) {
    if (!keyword(PyTuple_GET_ITEM(keywords, i), args[count + static_cast<size_t>(i)])) return false;
  }
  return true;
}

bool Flattener::run(PyObject* args, PyObject* kwargs) {
  const size_t count = static_cast<size_t>(PyTuple_GET_SIZE(args));
  if (!run(reinterpret_cast<PyTupleObject*>(args)->ob_item, count, nullptr)) return false;
  if (kwargs == nullptr || kwargs == Py_None) return true;
  PyObject *name, *value;
  for (Py_ssize_t at = 0; PyDict_Next(kwargs, &at, &name, &value);) {
    if (!PyUnicode_Check(name)) {
      PyErr_Format(PyExc_TypeError, "keywords must be strings, found %R", name);
      return false;
    }
    if (!keyword(name, value)) return false;
  }
  return true;
}

bool Flattener::keyword(PyObject* name, PyObject* value) {
  keyword_ = name;
  call_.words.push(head(Tag::Keyword));
  if (!by_value(name)) return false;
  return parameters_.keyword_is_static(name) ? static_value(value) : dynamic(value);
}

void Flattener::identity(PyObject* object) {
  call_.words.push(head(Tag::Identity));
  call_.words.push(address(object));
  call_.objects.push({object, false});
}

bool Flattener::other(PyObject* object) {
  const TypeFacts* facts = type_facts(Py_TYPE(object));
  if (facts == nullptr) return false;
  switch (facts->kind) {
    case TypeKind::TensorApi:
    case TypeKind::TensorMethod: return tensor(object, *facts);
    case TypeKind::Complex: return weak(object, Tag::WeakComplex, LeafKind::WeakComplex), true;
    case TypeKind::NumpyScalar:
      call_.words.push(head(Tag::NumpyScalar, facts->dtype));
      call_.leaves.push({object, nullptr, 0, LeafKind::NumpyScalar, facts->dtype, 0,
                         facts->dtype != DType::Invalid ? kFits : uint8_t{0}});
      if (facts->dtype == DType::Invalid) call_.matchable = 0;
      return true;
    case TypeKind::ArraySubclass: return array(object, Tag::ArrayOfType);
    case TypeKind::Generator:
      call_.words.push(head(Tag::ObjectOfType));
      call_.words.push(address(Py_TYPE(object)));
      call_.objects.push({reinterpret_cast<PyObject*>(Py_TYPE(object)), false});
      call_.leaves.push({object, nullptr, 0, LeafKind::Object, DType::Invalid, 0, kFits});
      return true;
    case TypeKind::Value: return by_value(object);
    case TypeKind::Spec:
      if (allow_specs_) return spec(object);
      break;
    case TypeKind::Tuple:
    case TypeKind::List:
    case TypeKind::Dict:
    case TypeKind::TupleSubclass:
    case TypeKind::ListSubclass:
    case TypeKind::DictSubclass: return container(object, *facts);
    default: break;
  }
  identity(object);
  return true;
}

bool Flattener::container(PyObject* object, const TypeFacts& facts) {
  if (++depth_ > kDepthLimit) {
    const Ref name = argument();
    if (name) {
      PyErr_Format(PyExc_RecursionError, "%U of op '%s' is nested more than %d levels deep",
                   name.get(), parameters_.op, kDepthLimit);
    }
    return false;
  }
  const TypeKind kind = facts.kind;
  const size_t count = static_cast<size_t>(PyTuple_Check(object)  ? PyTuple_GET_SIZE(object)
                                           : PyList_Check(object) ? PyList_GET_SIZE(object)
                                                                  : PyDict_Size(object));
  const bool subclass = kind >= TypeKind::TupleSubclass;
  const int base = static_cast<int>(kind) -
                   static_cast<int>(subclass ? TypeKind::TupleSubclass : TypeKind::Tuple);
  const int first = static_cast<int>(subclass ? Tag::TupleOfType : Tag::Tuple);
  call_.words.push(counted(static_cast<Tag>(first + base), count));
  if (subclass) {
    call_.words.push(address(Py_TYPE(object)));
    call_.objects.push({reinterpret_cast<PyObject*>(Py_TYPE(object)), false});
  }
  const bool ok = items(object, kind);
  --depth_;
  return ok;
}

bool Flattener::items(PyObject* object, TypeKind kind) {
  if (PyTuple_Check(object) || PyList_Check(object)) {
    // Reading an item may run code of another library that changes a list: ask for its size each
    // time.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object); ++i) {
      if (!dynamic(PySequence_Fast_GET_ITEM(object, i))) return false;
    }
    return true;
  }
  (void)kind;
  PyObject *key, *value;
  for (Py_ssize_t at = 0; PyDict_Next(object, &at, &key, &value);) {
    if (!static_value(key) || !dynamic(value)) return false;
  }
  return true;
}

bool Flattener::by_value(PyObject* object) {
  if (!PyUnicode_CheckExact(object)) call_.hold();
  const Ref alive = Ref::borrow(object);
  const Py_hash_t hash = PyObject_Hash(object);
  if (hash == -1) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return false;
    PyErr_Clear();
    const Ref name = argument();
    if (name) {
      const char* hint = PyList_Check(object)    ? "; pass a tuple"
                         : PyArray_Check(object) ? "; arrays are dynamic arguments: take it out of "
                                                   "`static`"
                                                 : "";
      PyErr_Format(PyExc_TypeError, "%U of op '%s' is static and must be hashable, found %s%s",
                   name.get(), parameters_.op, Py_TYPE(object)->tp_name, hint);
    }
    return false;
  }
  call_.words.push(head(Tag::Value));
  call_.words.push(address(Py_TYPE(object)));
  call_.words.push(static_cast<uint64_t>(hash));
  call_.objects.push({object, true});
  return true;
}

bool Flattener::static_value(PyObject* object) {
  if (object == Py_None || PyBool_Check(object)) return identity(object), true;
  if (PyUnicode_CheckExact(object)) return by_value(object);
  if (PyTuple_Check(object)) return static_tuple(object);
  bool done = false;
  if (!static_number(object, &done)) return false;
  return done || by_value(object);
}

// Numbers by their bits: 0.0 and -0.0 differ, a NaN equals itself.
bool Flattener::static_number(PyObject* object, bool* done) {
  *done = true;
  if (PyFloat_CheckExact(object)) {
    call_.words.push(head(Tag::StaticFloat));
    call_.words.push(bits(PyFloat_AS_DOUBLE(object)));
  } else if (PyComplex_CheckExact(object)) {
    call_.words.push(head(Tag::StaticComplex));
    call_.words.push(bits(PyComplex_RealAsDouble(object)));
    call_.words.push(bits(PyComplex_ImagAsDouble(object)));
  } else if (PyLong_CheckExact(object)) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) return by_value(object);
    call_.words.push(head(Tag::StaticInt));
    call_.words.push(static_cast<uint64_t>(value));
  } else if (PyArray_CheckScalar(object) && !PyArray_Check(object)) {
    const TypeFacts* facts = type_facts(Py_TYPE(object));
    if (facts == nullptr) return false;
    if (facts->dtype == DType::Invalid) return *done = false, true;
    uint64_t raw[2] = {0, 0};
    PyArray_ScalarAsCtype(object, raw);
    call_.words.push(head(Tag::StaticScalar, facts->dtype));
    call_.words.push(raw[0]);
    call_.words.push(raw[1]);
  } else {
    *done = false;
  }
  return true;
}

bool Flattener::static_tuple(PyObject* object) {
  if (++depth_ > kDepthLimit) {
    PyErr_Format(PyExc_RecursionError, "a static argument of op '%s' is nested too deep",
                 parameters_.op);
    return false;
  }
  call_.words.push(counted(Tag::TupleOfType, static_cast<size_t>(PyTuple_GET_SIZE(object))));
  call_.words.push(address(Py_TYPE(object)));
  call_.objects.push({reinterpret_cast<PyObject*>(Py_TYPE(object)), false});
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
    if (!static_value(PyTuple_GET_ITEM(object, i))) return false;
  }
  --depth_;
  return true;
}

// A description given to insert() in place of a C-ordered ndarray: attributes `shape` and `dtype`.
bool Flattener::spec(PyObject* object) {
  const Ref shape(PyObject_GetAttrString(object, "shape"));
  const Ref type(PyObject_GetAttrString(object, "dtype"));
  PyArray_Descr* descr = nullptr;
  if (!shape || !type || !PyArray_DescrConverter(type.get(), &descr)) return false;
  const DType dtype = dtype_of(descr);
  Py_DECREF(descr);
  const Ref dims(PySequence_Tuple(shape.get()));
  if (!dims) return false;
  const size_t ndim = static_cast<size_t>(PyTuple_GET_SIZE(dims.get()));
  if (ndim > 64 || dtype == DType::Invalid) {
    PyErr_Format(PyExc_TypeError, "%R cannot be compiled for: its dtype or rank is not supported",
                 object);
    return false;
  }
  auto& words = call_.words;
  words.push(head(Tag::Array, dtype, static_cast<unsigned>(ndim), false));
  const size_t at = words.size();
  for (size_t i = 0; i < ndim; ++i) {
    const Py_ssize_t extent =
        PyLong_AsSsize_t(PyTuple_GET_ITEM(dims.get(), static_cast<Py_ssize_t>(i)));
    if (extent == -1 && PyErr_Occurred()) return false;
    words.push(static_cast<uint64_t>(extent));
  }
  call_.leaves.push({object, nullptr, static_cast<uint32_t>(at), LeafKind::Array, dtype,
                     static_cast<uint8_t>(ndim), kWritable | kFits});
  return true;
}

}  // namespace jitops
