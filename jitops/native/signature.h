// One call in flattened form, and the table that finds the binding for it.
//
// A call is a sequence of 64-bit words. Each argument contributes a token: a head word (tag, dtype,
// number of axes, layout) and the words its tag asks for. Two calls are alike when their words are
// equal and the objects compared by value
// (`Value`) are equal in type and under ==. Values of dynamic scalars are not in the words.
#pragma once

#include "dtype.h"
#include "numpy_api.h"

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace jitops {

struct TypeFacts;

enum class Tag : uint8_t {
  Array = 1,    // shape[ndim], then strides[ndim] in bytes unless C order
  ArrayOfType,  // type, then as Array: a subclass of ndarray, or a tensor of another library
  NumpyScalar,
  WeakInt,
  WeakFloat,
  WeakComplex,
  Identity,  // object address
  Value,     // type address, hash; the object itself among the call's objects
  StaticInt,
  StaticFloat,
  StaticComplex,  // the value, in one or two words
  StaticScalar,   // a NumPy scalar: 4 words of its bytes
  Tuple,
  List,
  Dict,  // count in the head's upper half
  TupleOfType,
  ListOfType,
  DictOfType,   // type address
  Keyword,      // a keyword argument: its name follows as a Value token
  ObjectOfType  // type address: an object that host steps use, whichever it is
};

constexpr uint64_t head(Tag tag, DType dtype = DType::Invalid, unsigned ndim = 0,
                        bool strided = false) {
  return static_cast<uint64_t>(tag) | static_cast<uint64_t>(dtype) << 8 |
         static_cast<uint64_t>(ndim) << 16 | static_cast<uint64_t>(strided) << 24;
}
constexpr uint64_t counted(Tag tag, size_t count) {
  return static_cast<uint64_t>(tag) | static_cast<uint64_t>(count) << 32;
}
inline uint64_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

enum class LeafKind : uint8_t {
  Array,
  Tensor,
  NumpyScalar,
  WeakInt,
  WeakFloat,
  WeakComplex,
  Object
};

// Of an array: not in C order; may be written; aligned, in native byte order and of a dtype that
// kernels know.
constexpr uint8_t kStrided = 1, kWritable = 2, kFits = 4;

// A dynamic argument of this call. Borrowed: the caller's references keep it alive.
struct Leaf {
  PyObject* object;
  void* data;     // arrays and tensors
  uint32_t word;  // index of shape[0] in the call's words (arrays and tensors)
  LeafKind kind;
  DType dtype;  // arrays, tensors, NumPy scalars
  uint8_t ndim;
  uint8_t form;  // kStrided | kWritable | kFits

  bool strided() const { return (form & kStrided) != 0; }
  bool writable() const { return (form & kWritable) != 0; }
  bool fits() const { return (form & kFits) != 0; }
};

// Objects of a call: those compared by value, and those whose address is in the words and must stay
// alive with them.
struct CallObject {
  PyObject* object;
  bool by_value;
};

// A growable array that starts on the stack.
template <typename T, size_t N>
class Inline {
 public:
  T* begin() { return data_; }
  const T* begin() const { return data_; }
  T* end() { return data_ + size_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t size() const { return size_; }
  void reserve(size_t more) {
    if (__builtin_expect(size_ + more > capacity_, 0)) grow(size_ + more);
  }
  void push(T value) {
    reserve(1);
    data_[size_++] = value;
  }
  void push_reserved(T value) { data_[size_++] = value; }
  void resize_reserved(size_t size) { size_ = size; }

 private:
  __attribute__((noinline)) void grow(size_t need) {
    const size_t capacity = need > 2 * capacity_ ? need : 2 * capacity_;
    std::unique_ptr<T[]> larger(new T[capacity]);
    for (size_t i = 0; i < size_; ++i) larger[i] = data_[i];
    heap_ = std::move(larger);
    data_ = heap_.get();
    capacity_ = capacity;
  }

  static_assert(std::is_trivially_copyable_v<T>,
                "elements start uninitialised and are copied bytewise");
  T* data_ = reinterpret_cast<T*>(local_);
  size_t size_ = 0;
  size_t capacity_ = N;
  std::unique_ptr<T[]> heap_;
  alignas(T) unsigned char local_[N * sizeof(T)];
};

struct Call {
  Inline<uint64_t, 224> words;
  Inline<Leaf, 16> leaves;
  Inline<CallObject, 8> objects;
  const TypeFacts* tensor = nullptr;  // kind of the first tensor of another library
  uint8_t matchable = kFits;  // false: some array is misaligned, byte-swapped or of a foreign dtype
  std::vector<Ref> owned;     // exports of `__dlpack__`, alive for the call
  size_t held = 0;            // leaves with a reference of our own

  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    for (size_t i = 0; i < held; ++i) Py_DECREF(leaves[i].object);
  }
  // Before code of others runs (a hash, a comparison, an export): it may take arguments out of
  // their containers.
  void hold() {
    for (; held < leaves.size(); ++held) Py_INCREF(leaves[held].object);
  }
  uint64_t hash() const;
};

// A word of a signature that may differ from call to call: the size of an open axis.
struct OpenWord {
  uint32_t word;
  uint32_t first;  // the first word of the same size: both must be equal
  int64_t lo, hi;
};

// A known signature. Counted by hand under the GIL: a comparison that runs Python code holds it.
struct Entry {
  uint64_t hash;
  std::vector<uint64_t> words;
  std::vector<CallObject> objects;  // owned references
  PyObject* binding;                // owned
  std::vector<OpenWord> open;       // in order; `hash` is unused then
  size_t holders = 1;

  void release();
  int visit(visitproc visit, void* arg);
};

// Open addressing over entries. All of it is guarded by the GIL.
class Table {
 public:
  ~Table() { clear(); }
  // The binding for a call, a new reference; null without an error when unknown, null with an error
  // when == raised.
  PyObject* find(Call& call);
  bool insert(Call& call, PyObject* binding,
              std::vector<OpenWord> open);  // false with an error set
  void clear();
  size_t size() const { return count_ + open_.size(); }
  int visit(visitproc visit, void* arg);

 private:
  Entry* lookup(Call& call, uint64_t hash, bool* failed);
  Entry* lookup_open(Call& call, bool* failed);
  void place(Entry* entry);
  void grow();

  Entry* last_ = nullptr;  // the entry of the latest hit, borrowed from slots_ or open_
  std::vector<Entry*> slots_;
  std::vector<Entry*> open_;  // signatures with open words: few, tried one after the other
  size_t count_ = 0;
  uint64_t version_ = 0;  // changes with every insertion and clearing
};

}  // namespace jitops
