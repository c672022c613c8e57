// What one run of a program holds, and the result that is made of it.
#pragma once

#include "memory.h"
#include "objects.h"

#include <array>
#include <vector>

namespace jitops {

constexpr size_t kSlot = 16;  // bytes of the widest scalar

// What one run needs besides the call; releases all of it.
struct Frame {
  Inline<void*, 32> buffers;
  Inline<Result, 8> results;
  alignas(kSlot) unsigned char scalars[16][kSlot];
  std::vector<std::array<unsigned char, kSlot>> more_scalars;
  void* workspace = nullptr;
  PyObject* keeper = nullptr;  // of the workspace, where host steps see it; owned
  const TypeFacts* tensor = nullptr;
  PyObject* example = nullptr;

  ~Frame() {
    for (const Result& result : results) {
      if (result.object != nullptr) {
        Py_DECREF(result.object);
      } else if (result.data != nullptr) {
        memory::release(result.data);
      }
    }
    if (keeper != nullptr) {
      Py_DECREF(keeper);
    } else if (workspace != nullptr) {
      memory::release(workspace);
    }
  }

  void* scalar_slot(size_t i, size_t count) {
    if (i < 16) return scalars[i];
    if (more_scalars.empty()) more_scalars.resize(count - 16);
    return more_scalars[i - 16].data();
  }
};

// The object behind a program input: an argument or a captured array.
PyObject* source_object(const Source& source, const Call& call);

// The call's result, in the tree and the kinds that the binding names; null with an error set.
PyObject* build_result(const Binding& binding, const Call& call, Frame* frame);

}  // namespace jitops
