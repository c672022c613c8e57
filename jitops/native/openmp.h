// The OpenMP runtimes that the process has loaded: libgomp (also under names such as
// libgomp-a34b3233.so.1, as wheels bundle it), libomp, libiomp5. None is ever loaded from here.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace jitops::openmp {

struct Runtime {
  std::string path;
  void (*parallel)(void (*fn)(void*), void* data, unsigned threads,
                   unsigned flags);  // GOMP_parallel
  int (*thread_num)();
  int (*in_parallel)();
  void (*set_num_threads)(int);
  size_t tls_module;      // 0: the runtime keeps no thread-local state that we can see
  const char* tls_image;  // what a thread's state looks like before the runtime has touched it
  size_t tls_filled;      // bytes of the image; the rest is zero
  size_t tls_size;
  std::vector<size_t> telling;  // bytes of it that the runtime writes when a thread opens a region
};

// All of them, in the order in which they were loaded.
std::vector<const Runtime*> loaded();

// The runtime that the calling thread has run parallel code on; else null, or with `any` the first
// one loaded.
const Runtime* of_this_thread(bool any);

}  // namespace jitops::openmp
