// The Python types of the module, and their C++ forms.
#pragma once

#include "flatten.h"

#include <string>
#include <vector>

namespace jitops {

using KernelEntry = int32_t (*)(void* const* buffers);

struct Library {
  PyObject_HEAD void* handle;
};
extern PyTypeObject* g_library_type;

// What an open size adds to an extent or a number of bytes: factor * size.
struct OpenTerm {
  uint32_t axis;
  uint32_t size;  // counts the program's sizes
  int64_t factor;
};
constexpr size_t kSizes = 8;  // open sizes of a program at most

// One parameter of a kernel's entry.
struct InputSpec {
  bool scalar = false;
  bool size = false;  // the size of an argument's axis
  bool mutated = false;
  bool bounded = false;  // weak integers must lie in [lo, hi]
  bool strided = false;
  DType dtype = DType::Invalid;
  std::vector<int64_t> shape;
  std::vector<OpenTerm> open;    // axes of unknown extent (0 in `shape`); in C order
  std::vector<int64_t> strides;  // bytes; 0 for axes of extent 1
  __int128 lo = 0, hi = 0;
  int64_t span_lo = 0, span_hi = 0;  // bytes touched, relative to the data pointer
};

struct OutputSpec {
  DType dtype = DType::Invalid;
  PyArray_Descr* descr =
      nullptr;  // borrowed from dtype_descr; null until asked for if ml_dtypes has the type
  std::vector<int64_t> shape;
  std::vector<OpenTerm> open;    // what is added to the shape; in the axis of the largest stride
  std::vector<int64_t> steps;    // strides in elements
  std::vector<npy_intp> layout;  // shape, then strides as NumPy gives them to a fresh array
  int flags = 0;                 // NumPy's flags of a fresh array
  size_t bytes = 0;
  int64_t row_bytes = 0;  // of one step along the open axis
};

// Memory that a host step reads or writes: an array in one of the entry's buffers.
struct View {
  int buffer = -1;  // -1: a result that nobody reads
  size_t offset = 0;
  DType dtype = DType::Invalid;
  std::vector<npy_intp> shape;
  std::vector<npy_intp> strides;  // bytes
};

// A part of a call: kernels behind an entry, or a Python callable between them, which gets a tuple
// of arrays and the binding's objects, and gives a tuple of arrays.
struct Step {
  KernelEntry entry = nullptr;
  PyObject* callable = nullptr;  // owned by the program; null for an entry
  std::vector<View> reads;
  std::vector<View> writes;
};

constexpr size_t kOutcome = 8;  // jitops/lower/memory.py: OUTCOME

struct ProgramSpec {
  KernelEntry entry = nullptr;
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::vector<uint32_t> mutated;  // indices of mutated inputs
  size_t workspace = 0;
  std::vector<OpenTerm> open_workspace;
  std::vector<uint32_t> sizes;    // indices of the inputs that are sizes
  double cost_ns = 0;             // without the sizes' part
  std::vector<double> cost_each;  // ns, by size
  bool parallel = false;
  PyObject* failures =
      nullptr;  // (exception, message) pairs; byte kOutcome of the workspace counts
                // them from 1. Null: nothing is checked. Owned by the program
  bool release_gil = false;
  std::vector<Step> steps;  // empty: `entry` is all there is
  std::string name;
};

struct Program {
  PyObject_HEAD PyObject* library;  // keeps the code mapped
  ProgramSpec spec;
};
extern PyTypeObject* g_program_type;

// Where a program input comes from: a dynamic leaf of the call, or a captured array.
struct Source {
  int leaf = -1;
  int axis = -1;                 // of the leaf, whose size is the input
  PyObject* captured = nullptr;  // owned by the binding; an exact ndarray
};

// A place outside of the arguments, and what a trace found there: a dict and a key, or a cell
// and no key. The binding runs only while that object is still there. All owned.
struct Guard {
  PyObject* holder = nullptr;
  PyObject* key = nullptr;
  PyObject* expected = nullptr;
};

enum class NodeKind : uint8_t { Out, Arg, Cap, Const, Tuple, List, Dict, NamedTuple };

struct Node {
  NodeKind kind = NodeKind::Out;
  bool scalar = false;  // Out: a 0-d result comes back as a scalar
  bool number = false;  // Out: and that as Python's own bool, int, float or complex
  int index = 0;        // Out, Arg, Cap
  PyObject* object =
      nullptr;  // Const: the object; Dict: tuple of keys; NamedTuple: the class. Owned
  std::vector<Node> children;
};

constexpr size_t kDirect = 14;  // inputs of a direct binding at most

struct BindingSpec {
  std::vector<Source> sources;
  Node result;
  std::vector<Guard> guards;
  PyObject* objects = nullptr;   // a tuple for host steps, arguments by their numbers; owned
  std::vector<char> scalar_out;  // by output: every use of it is as a scalar
  bool plain = false;            // the result is output 0, an array
  bool direct = false;           // plain, and every input is an array argument that is only read,
                                 // or the size of one
};

struct Binding {
  PyObject_HEAD Program* program;  // owned
  BindingSpec spec;
};
extern PyTypeObject* g_binding_type;

struct Value {
  PyObject_HEAD PyObject* object;
};
extern PyTypeObject* g_value_type;
extern PyTypeObject* g_dispatcher_type;

// Whether the kernel may run on this call's arguments; `why` says why not.
bool binding_fits(const Binding& binding, const Call& call, std::string* why);

// The words of a call that may differ where this binding runs.
std::vector<OpenWord> open_words(const Binding& binding, const Call& call);

enum class Outcome { Done, Miss, Failed };

// Done: every guard finds what the trace found. To be asked where a call hits, not where it missed:
// that one has been traced with what it found.
Outcome check_guards(const Binding& binding);

// Run a binding whose signature matched. Miss: the values of this call are not what the kernel
// takes (an integer out of bounds, a read-only or overlapping argument to be written, a captured
// array that changed its form).
Outcome run_binding(Binding& binding, Call& call, int threads, PyObject** result);

// scalars.cpp: convert a scalar leaf to the bytes of `input.dtype`.
Outcome store_scalar(const InputSpec& input, const Leaf& leaf, void* slot);

// steps.cpp
// Read (entry address,) or (callable, reads, writes) for each step. False with an error set.
bool read_steps(PyObject* sequence, ProgramSpec* program);
// Run a host step on these buffers. `owners` keeps each buffer's memory alive, null where only a
// copy may be handed out. False with an error set: what NumPy raised.
bool run_host(const Step& step, void* const* buffers, PyObject* const* owners, PyObject* objects);

// results.cpp
struct Result {
  PyObject* object = nullptr;  // owned; null while a scalar is still raw bytes
  void* data = nullptr;
};
bool plan_array(OutputSpec* output);  // fill `layout` and `flags`
// `sizes`: the values of the program's open sizes.
bool new_array(const OutputSpec& output, const int64_t* sizes, Result* result);
bool new_tensor(const OutputSpec& output, const TypeFacts& kind, const int64_t* sizes,
                Result* result);
PyObject* finish_tensor(const TypeFacts& kind, PyObject* example, PyObject* array);
PyObject* new_scalar(const OutputSpec& output, void* data);
bool prepare_results(PyObject* module);

// One function per type: create it and add it to the module. False with an error set.
bool add_library(PyObject* module);
bool add_program(PyObject* module);
bool add_binding(PyObject* module);
bool add_dispatcher(PyObject* module);

// cpu.cpp
PyObject* detect_cpu();

PyTypeObject* add_type(PyObject* module, PyType_Spec& spec);

}  // namespace jitops
