// Arguments to tokens: reads ndarrays through NumPy's C API and other libraries' tensors through
// DLPack.
#pragma once

#include "dlpack_abi.h"
#include "signature.h"
#include "torch_access.h"

namespace jitops {

enum class TypeKind : uint8_t {
  Object,
  Bool,
  None,
  Int,
  Float,
  Complex,
  Value,
  ArraySubclass,
  NumpyScalar,
  Tuple,
  List,
  Dict,
  TupleSubclass,
  ListSubclass,
  DictSubclass,
  TensorApi,
  TensorMethod,
  Spec,
  Generator  // of random numbers: NumPy's
};

// What is known about a Python type, found once per type. Those of tensors live for ever.
struct TypeFacts {
  PyTypeObject* type = nullptr;  // owned
  TypeKind kind = TypeKind::Object;
  DType dtype = DType::Invalid;          // NumPy scalars
  const dl::ExchangeApi* api = nullptr;  // TensorApi
  const TorchAccess* torch = nullptr;    // torch.Tensor, where the short way is open
  getter requires_grad =
      nullptr;  // the C getter of torch's attribute of this name, if there is one
  void* requires_grad_closure = nullptr;
  PyObject* is_conj =
      nullptr;  // torch's methods: the values are the conjugate or the negative of the
  PyObject* is_neg = nullptr;  // data in memory; owned, null for other libraries
};

const TypeFacts* type_facts(
    PyTypeObject* type);  // null with an error set; valid until the next call
inline bool is_tensor(TypeKind kind) {
  return kind == TypeKind::TensorApi || kind == TypeKind::TensorMethod;
}

// Tell the tensor's library that its memory was written behind its back (torch's version counters).
// False with an error.
bool note_write(const TypeFacts& facts, PyObject* tensor);

// Which arguments of an op are static, and the names for messages.
struct Parameters {
  const char* op = "";
  PyObject* names = nullptr;         // tuple of str, owned by the dispatcher
  PyObject* static_names = nullptr;  // tuple of str, owned
  std::vector<char> is_static;       // by position

  bool has_static() const { return !is_static.empty() || PyTuple_GET_SIZE(static_names) > 0; }
  bool keyword_is_static(PyObject* name) const;
};

class Flattener {
 public:
  Flattener(Call& call, const Parameters& parameters, bool allow_specs)
      : call_(call), parameters_(parameters), allow_specs_(allow_specs) {}

  // args[0..count) positional, then one value for each name in `keywords` (may be null).
  bool run(PyObject* const* args, size_t count, PyObject* keywords);
  // The same from a tuple and a dict.
  bool run(PyObject* args, PyObject* kwargs);

 private:
  bool dynamic(PyObject* object);
  bool other(PyObject* object);
  bool container(PyObject* object, const TypeFacts& facts);
  bool items(PyObject* object, TypeKind kind);
  bool static_value(PyObject* object);
  bool static_number(PyObject* object, bool* done);
  bool static_tuple(PyObject* object);
  bool by_value(PyObject* object);
  bool array(PyObject* object, Tag tag);
  bool spec(PyObject* object);
  bool tensor(PyObject* object, const TypeFacts& facts);
  struct View {
    dl::Tensor tensor;
    DType dtype = DType::Invalid;
    bool writable = true;
    bool strided = false;
    int64_t size = 1;  // elements
  };
  void tensor_view(PyObject* object, const View& view);
  bool exported(PyObject* object, dl::Tensor* view, bool* writable);
  bool grad_refused(PyObject* object, const TypeFacts& facts);
  bool lazy_refused(PyObject* object, const TypeFacts& facts);
  bool view_refused(const View& view);
  static void measure(View* view);
  bool no_view();
  void weak(PyObject* object, Tag tag, LeafKind kind);
  void identity(PyObject* object);
  bool keyword(PyObject* name, PyObject* value);
  Ref argument() const;

  Call& call_;
  const Parameters& parameters_;
  const bool allow_specs_;
  int depth_ = 0;
  size_t position_ = 0;          // of the argument being read, for messages
  PyObject* keyword_ = nullptr;  // its name when given by keyword
};

}  // namespace jitops
