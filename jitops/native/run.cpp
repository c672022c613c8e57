// A hit: pointers for the kernel's inputs, fresh outputs, the call.
#include "frame.h"
#include "thread_pool.h"

#include <algorithm>
#include <cstring>

namespace jitops {
namespace {

// What a call of a program with open sizes costs decides as for closed ones; jitops/lower/cost.py:
// PARALLEL_NS, and program.cpp.
constexpr double kParallelFrom = 24000.0, kReleaseFrom = 20000.0;  // ns
constexpr double kOneTask = 6000.0;  // below jitops/schedule/loops.py: GRAIN_NS, no loop is split

// The word of a call that holds the size which a program input is.
const uint64_t& size_word(const Source& source, const Call& call) {
  return call
      .words[call.leaves[static_cast<size_t>(source.leaf)].word + static_cast<size_t>(source.axis)];
}

struct Sizes {
  int64_t values[kSizes];
  double cost = 0;

  // binding: null for none.
  Sizes(const Binding* binding, const Call& call) {
    if (binding == nullptr) return;
    const ProgramSpec& program = binding->program->spec;
    cost = program.cost_ns;
    for (size_t i = 0; i < program.sizes.size(); ++i) {
      values[i] = static_cast<int64_t>(size_word(binding->spec.sources[program.sizes[i]], call));
      cost += program.cost_each[i] * static_cast<double>(values[i]);
    }
  }
};

int64_t opened(const std::vector<OpenTerm>& terms, const int64_t* sizes) {
  int64_t total = 0;
  for (const OpenTerm& term : terms) total += term.factor * sizes[term.size];
  return total;
}

bool captured_fits(const InputSpec& input, PyObject* object) {
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
  const int flags = PyArray_FLAGS(array);
  if (dtype_of(PyArray_DESCR(array)) != input.dtype || (flags & NPY_ARRAY_ALIGNED) == 0 ||
      !PyArray_ISNBO(PyArray_DESCR(array)->byteorder) ||
      static_cast<size_t>(PyArray_NDIM(array)) != input.shape.size()) {
    return false;
  }
  for (size_t i = 0; i < input.shape.size(); ++i) {
    if (PyArray_DIMS(array)[i] != input.shape[i]) return false;
  }
  if (!input.strided && (flags & NPY_ARRAY_C_CONTIGUOUS) != 0) return true;
  for (size_t i = 0; i < input.shape.size(); ++i) {
    if (input.shape[i] != 1 && PyArray_STRIDES(array)[i] != input.strides[i]) return false;
  }
  return true;
}

// A size within the bounds, or the open extent of an array.
bool size_fits(const InputSpec& input, const Source& source, const Call& call) {
  if (static_cast<size_t>(source.leaf) >= call.leaves.size()) return false;
  const Leaf& leaf = call.leaves[static_cast<size_t>(source.leaf)];
  const bool array = leaf.kind == LeafKind::Array || leaf.kind == LeafKind::Tensor;
  if (!array || source.axis < 0 || source.axis >= leaf.ndim) return false;
  const __int128 size = size_word(source, call);
  return size >= input.lo && size <= input.hi;
}

bool leaf_fits(const InputSpec& input, const Leaf& leaf, const Call& call, const int64_t* sizes) {
  if (input.scalar) {
    return leaf.kind != LeafKind::Array && leaf.kind != LeafKind::Tensor &&
           leaf.kind != LeafKind::Object && leaf.fits();
  }
  if ((leaf.kind != LeafKind::Array && leaf.kind != LeafKind::Tensor) || !leaf.fits() ||
      leaf.dtype != input.dtype || leaf.ndim != input.shape.size() ||
      leaf.strided() != input.strided) {
    return false;
  }
  const uint64_t* words = call.words.begin() + leaf.word;
  for (const OpenTerm& term : input.open) {
    if (static_cast<int64_t>(words[term.axis]) != sizes[term.size]) return false;
  }
  for (size_t i = 0; i < input.shape.size(); ++i) {
    const bool is_open = !input.open.empty() && input.open[0].axis == i;
    if (!is_open && words[i] != static_cast<uint64_t>(input.shape[i])) return false;
    if (leaf.strided() && words[leaf.ndim + i] != static_cast<uint64_t>(input.strides[i])) {
      return false;
    }
  }
  return true;
}

bool args_exist(const Node& node, const Call& call) {
  if (node.kind == NodeKind::Arg && static_cast<size_t>(node.index) >= call.leaves.size()) {
    return false;
  }
  for (const Node& child : node.children) {
    if (!args_exist(child, call)) return false;
  }
  return true;
}

bool source_writable(const Source& source, const Call& call) {
  if (source.captured != nullptr) {
    return PyArray_ISWRITEABLE(reinterpret_cast<PyArrayObject*>(source.captured));
  }
  return call.leaves[static_cast<size_t>(source.leaf)].writable();
}

// A written input must be writable and share no memory with another input (bounds of the memory
// touched decide).
bool writes_allowed(const Binding& binding, const Call& call, void* const* buffers,
                    const int64_t* sizes) {
  const ProgramSpec& program = binding.program->spec;
  auto end = [sizes](const InputSpec& input) {
    if (input.open.empty()) return input.span_hi;
    return input.strides[input.open[0].axis] * opened(input.open, sizes);
  };
  for (const uint32_t i : program.mutated) {
    const InputSpec& written = program.inputs[i];
    if (!source_writable(binding.spec.sources[i], call)) return false;
    const char* begin = static_cast<const char*>(buffers[i]);
    for (size_t j = 0; j < program.inputs.size(); ++j) {
      const InputSpec& other = program.inputs[j];
      const char* start = static_cast<const char*>(buffers[j]);
      if (j != i && !other.scalar && start + other.span_lo < begin + end(written) &&
          begin + written.span_lo < start + end(other)) {
        return false;
      }
    }
  }
  return true;
}

Outcome gather_inputs(const Binding& binding, const Call& call, const int64_t* sizes,
                      Frame* frame) {
  const ProgramSpec& program = binding.program->spec;
  const size_t count = program.inputs.size();
  frame->buffers.reserve(count + program.outputs.size() + 1);
  for (size_t i = 0; i < count; ++i) {
    const InputSpec& input = program.inputs[i];
    const Source& source = binding.spec.sources[i];
    if (source.captured != nullptr) {
      if (!captured_fits(input, source.captured)) return Outcome::Miss;
      frame->buffers.push_reserved(PyArray_DATA(reinterpret_cast<PyArrayObject*>(source.captured)));
      continue;
    }
    const Leaf& leaf = call.leaves[static_cast<size_t>(source.leaf)];
    if (!input.scalar) {
      frame->buffers.push_reserved(leaf.data);
      continue;
    }
    if (input.size) {
      frame->buffers.push_reserved(const_cast<uint64_t*>(&size_word(source, call)));
      continue;
    }
    void* slot = frame->scalar_slot(i, count);
    const Outcome stored = store_scalar(input, leaf, slot);
    if (stored != Outcome::Done) return stored;
    frame->buffers.push_reserved(slot);
  }
  const bool writes = !program.mutated.empty();
  return !writes || writes_allowed(binding, call, frame->buffers.begin(), sizes) ? Outcome::Done
                                                                                 : Outcome::Miss;
}

PyObject* first_tensor(const Call& call) {
  for (const Leaf& leaf : call.leaves) {
    if (leaf.kind == LeafKind::Tensor) return leaf.object;
  }
  return nullptr;
}

bool make_results(const Binding& binding, const int64_t* sizes, Frame* frame) {
  const ProgramSpec& program = binding.program->spec;
  frame->results.reserve(program.outputs.size());
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const OutputSpec& output = program.outputs[i];
    Result result;
    bool made;
    if (frame->tensor != nullptr) {
      made = new_tensor(output, *frame->tensor, sizes, &result);
    } else if (binding.spec.scalar_out[i]) {
      result.data = memory::allocate(output.bytes);
      made = result.data != nullptr;
      if (!made) PyErr_NoMemory();
    } else {
      made = new_array(output, sizes, &result);
    }
    if (!made) return false;
    frame->results.push_reserved(result);
    frame->buffers.push_reserved(result.data);
  }
  if (program.workspace != 0 || !program.open_workspace.empty()) {
    const int64_t more = opened(program.open_workspace, sizes);
    frame->workspace = memory::allocate(program.workspace + static_cast<size_t>(more));
    if (frame->workspace == nullptr) return PyErr_NoMemory(), false;
  }
  frame->buffers.push_reserved(frame->workspace);
  return true;
}

// While other threads may run Python code, this call's arrays must not go away.
int32_t call_released(KernelEntry entry, const Call& call, void* const* buffers) {
  for (const Leaf& leaf : call.leaves) Py_INCREF(leaf.object);
  PyThreadState* state = PyEval_SaveThread();
  const int32_t code = entry(buffers);
  PyEval_RestoreThread(state);
  for (const Leaf& leaf : call.leaves) Py_DECREF(leaf.object);
  return code;
}

int32_t call_entry(const ProgramSpec& program, KernelEntry entry, const Call& call, int threads,
                   const Sizes& sizes, void* const* buffers) {
  if (!program.sizes.empty()) {
    const pool::OpLimit limit(sizes.cost < kParallelFrom ? 1 : threads);
    return sizes.cost < kReleaseFrom ? entry(buffers) : call_released(entry, call, buffers);
  }
  if (!program.parallel && !program.release_gil) return entry(buffers);
  const pool::OpLimit limit(threads);
  return program.release_gil ? call_released(entry, call, buffers) : entry(buffers);
}

bool note_writes(const Binding& binding, const Call& call) {
  for (const uint32_t i : binding.program->spec.mutated) {
    const int leaf = binding.spec.sources[i].leaf;
    if (leaf < 0) continue;
    PyObject* object = call.leaves[static_cast<size_t>(leaf)].object;
    if (PyArray_Check(object)) continue;
    const TypeFacts* facts = type_facts(Py_TYPE(object));
    if (facts == nullptr || !note_write(*facts, object)) return false;
  }
  return true;
}

// The number of the failure that the kernels found; 0: none.
unsigned failure(const Frame& frame) {
  return static_cast<const unsigned char*>(frame.workspace)[kOutcome];
}

Outcome raise_failure(const ProgramSpec& program, unsigned number) {
  if (number > static_cast<size_t>(PyTuple_GET_SIZE(program.failures))) {
    PyErr_Format(PyExc_RuntimeError, "kernel '%s' failed with an unknown error %u",
                 program.name.c_str(), number);
    return Outcome::Failed;
  }
  PyObject* pair = PyTuple_GET_ITEM(program.failures, static_cast<Py_ssize_t>(number) - 1);
  PyErr_SetObject(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
  return Outcome::Failed;
}

Outcome kernel_failed(const Binding& binding, int32_t code) {
  PyErr_Format(PyExc_RuntimeError, "kernel '%s' failed with code %d",
               binding.program->spec.name.c_str(), code);
  return Outcome::Failed;
}

// What keeps the memory of each buffer alive when NumPy gets it; null for scalars.
bool find_owners(const Binding& binding, const Call& call, Frame* frame,
                 Inline<PyObject*, 32>* owners) {
  const ProgramSpec& program = binding.program->spec;
  owners->reserve(program.inputs.size() + program.outputs.size() + 1);
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    owners->push_reserved(program.inputs[i].scalar ? nullptr
                                                   : source_object(binding.spec.sources[i], call));
  }
  for (const Result& result : frame->results) owners->push_reserved(result.object);
  if (frame->workspace != nullptr) {
    frame->keeper = PyCapsule_New(frame->workspace, nullptr, [](PyObject* capsule) {
      memory::release(PyCapsule_GetPointer(capsule, nullptr));
    });
    if (frame->keeper == nullptr) return false;
  }
  owners->push_reserved(frame->keeper);
  return true;
}

// What host steps get besides arrays: the binding's objects, arguments in the place of their
// numbers.
Ref find_objects(const Binding& binding, const Call& call) {
  PyObject* planned = binding.spec.objects;
  Ref found(PyTuple_New(PyTuple_GET_SIZE(planned)));
  for (Py_ssize_t i = 0; found && i < PyTuple_GET_SIZE(planned); ++i) {
    PyObject* item = PyTuple_GET_ITEM(planned, i);
    if (PyLong_Check(item)) item = call.leaves[PyLong_AsSize_t(item)].object;
    Py_INCREF(item);
    PyTuple_SET_ITEM(found.get(), i, item);
  }
  return found;
}

bool objects_fit(const Binding& binding, const Call& call) {
  PyObject* planned = binding.spec.objects;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(planned); ++i) {
    PyObject* item = PyTuple_GET_ITEM(planned, i);
    if (!PyLong_Check(item)) continue;
    const size_t leaf = PyLong_AsSize_t(item);
    if (leaf >= call.leaves.size() || call.leaves[leaf].kind != LeafKind::Object) {
      PyErr_Clear();
      return false;
    }
  }
  return true;
}

// Kernels and host steps in order. Python code runs in between: the call's arguments are held. Once
// a check has failed, no step is given what came of it.
bool run_steps(const Binding& binding, Call& call, int threads, const Sizes& sizes, Frame* frame) {
  const ProgramSpec& program = binding.program->spec;
  call.hold();
  Inline<PyObject*, 32> owners;
  const Ref objects = find_objects(binding, call);
  if (!objects || !find_owners(binding, call, frame, &owners)) return false;
  const bool checked = program.failures != nullptr;
  if (checked) static_cast<unsigned char*>(frame->workspace)[kOutcome] = 0;
  for (const Step& step : program.steps) {
    if (step.callable != nullptr) {
      if (checked && failure(*frame) != 0) return true;
      if (!run_host(step, frame->buffers.begin(), owners.begin(), objects.get())) return false;
      continue;
    }
    const int32_t code =
        call_entry(program, step.entry, call, threads, sizes, frame->buffers.begin());
    if (code != 0) return kernel_failed(binding, code), false;
  }
  return true;
}

// The common small call, arrays in and one array out, without a frame.
template <bool kOpen>
Outcome run_direct(const Binding& binding, const Call& call, const Sizes* open, PyObject** result) {
  const ProgramSpec& program = binding.program->spec;
  void* buffers[kDirect + 2];
  void** next = buffers;
  for (const Source& source : binding.spec.sources) {
    if (kOpen && source.axis >= 0) {
      *next++ = const_cast<uint64_t*>(&size_word(source, call));
    } else {
      *next++ = call.leaves[static_cast<size_t>(source.leaf)].data;
    }
  }
  Result made;
  const int64_t* sizes = kOpen ? open->values : nullptr;
  if (!(call.tensor != nullptr ? new_tensor(program.outputs[0], *call.tensor, sizes, &made)
                               : new_array(program.outputs[0], sizes, &made))) {
    return Outcome::Failed;
  }
  next[0] = made.data;
  next[1] = nullptr;
  int32_t code;
  if (kOpen && open->cost > kOneTask) {
    const pool::OpLimit limit(1);  // its loops are parallel ones for any size
    code = program.entry(buffers);
  } else {
    code = program.entry(buffers);
  }
  if (__builtin_expect(code != 0, 0)) {
    Py_DECREF(made.object);
    return kernel_failed(binding, code);
  }
  *result = made.object;
  return Outcome::Done;
}

}  // namespace

bool binding_fits(const Binding& binding, const Call& call, std::string* why) {
  const ProgramSpec& program = binding.program->spec;
  bool sized = true;
  for (const uint32_t i : program.sizes) {
    sized = sized && size_fits(program.inputs[i], binding.spec.sources[i], call);
  }
  const Sizes sizes(sized ? &binding : nullptr, call);
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const Source& source = binding.spec.sources[i];
    const size_t leaf = static_cast<size_t>(source.leaf);
    const InputSpec& input = program.inputs[i];
    const bool fits = source.captured != nullptr ? captured_fits(input, source.captured)
                      : input.size ? sized
                                   : leaf < call.leaves.size() &&
                                         leaf_fits(input, call.leaves[leaf], call, sizes.values);
    if (!fits) {
      *why = "input " + std::to_string(i) + " of program '" + program.name +
             "' does not accept the argument (dtype, shape, strides or alignment)";
      return false;
    }
  }
  if (!objects_fit(binding, call)) {
    *why = "a step of program '" + program.name + "' needs a random generator as an argument";
    return false;
  }
  if (args_exist(binding.spec.result, call)) return true;
  *why = "the result refers to an argument that this call does not have";
  return false;
}

std::vector<OpenWord> open_words(const Binding& binding, const Call& call) {
  const ProgramSpec& program = binding.program->spec;
  std::vector<OpenWord> words;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    for (const OpenTerm& term : program.inputs[i].open) {
      const InputSpec& size = program.inputs[program.sizes[term.size]];
      const Source& first = binding.spec.sources[program.sizes[term.size]];
      const uint32_t leaf = call.leaves[static_cast<size_t>(binding.spec.sources[i].leaf)].word;
      const uint32_t other = call.leaves[static_cast<size_t>(first.leaf)].word;
      words.push_back({leaf + term.axis, other + static_cast<uint32_t>(first.axis),
                       static_cast<int64_t>(size.lo), static_cast<int64_t>(size.hi)});
    }
  }
  std::sort(words.begin(), words.end(),
            [](const OpenWord& a, const OpenWord& b) { return a.word < b.word; });
  return words;
}

Outcome check_guards(const Binding& binding) {
  for (const Guard& guard : binding.spec.guards) {
    PyObject* found = PyCell_Check(guard.holder) ? PyCell_GET(guard.holder)
                                                 : PyDict_GetItemWithError(guard.holder, guard.key);
    if (found != guard.expected) return PyErr_Occurred() ? Outcome::Failed : Outcome::Miss;
  }
  return Outcome::Done;
}

Outcome run_binding(Binding& binding, Call& call, int threads, PyObject** result) {
  const bool open = !binding.program->spec.sizes.empty();
  const Sizes sizes(open ? &binding : nullptr, call);
  if (binding.spec.direct && (call.tensor == nullptr || call.tensor->api != nullptr)) {
    if (__builtin_expect(!open, 1)) return run_direct<false>(binding, call, nullptr, result);
    if (sizes.cost < kReleaseFrom) return run_direct<true>(binding, call, &sizes, result);
  }
  Frame frame;
  const Outcome gathered = gather_inputs(binding, call, sizes.values, &frame);
  if (gathered != Outcome::Done) return gathered;
  if (__builtin_expect(call.tensor != nullptr, 0)) {
    frame.tensor = call.tensor;
    frame.example = first_tensor(call);
  }
  if (!make_results(binding, sizes.values, &frame)) return Outcome::Failed;
  const ProgramSpec& program = binding.program->spec;
  if (__builtin_expect(!program.steps.empty(), 0)) {
    if (!run_steps(binding, call, threads, sizes, &frame)) return Outcome::Failed;
  } else {
    const int32_t code =
        call_entry(program, program.entry, call, threads, sizes, frame.buffers.begin());
    if (__builtin_expect(code != 0, 0)) return kernel_failed(binding, code);
  }
  if (program.failures != nullptr) {
    const unsigned number = failure(frame);
    if (number != 0) return raise_failure(program, number);
  }
  if (call.tensor != nullptr && !note_writes(binding, call)) return Outcome::Failed;
  *result = build_result(binding, call, &frame);
  return *result != nullptr ? Outcome::Done : Outcome::Failed;
}

}  // namespace jitops
