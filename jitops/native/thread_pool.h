// The thread pool behind the kernels' parallel loops: one per process, no Python in it.
//
// Serial meaning: launch(fn, data, n) is `for (i = 0; i < n; ++i) fn(i, {n}, data)`; with n = 0 the
// pool chooses n.
#pragma once

#include <cstdint>
#include <string>

namespace jitops::pool {

struct Env {  // TVMParallelGroupEnv
  void* sync;
  int32_t num_task;
};
using Task = int (*)(int task, Env* env, void* data);
using Launch = int (*)(Task task, void* data, int num_task);

// Run the tasks on the calling thread and on idle workers. Returns 0, or the first non-zero code of
// a task (tasks not yet started are then left out). Nested launches run on the calling thread
// alone.
int launch(Task task, void* data, int num_task);

// The number of threads of the process that run tasks at once, callers included. 0: what the
// machine grants.
void set_threads(int count);
int get_threads();  // what a launch from this thread may use now

// A further limit for launches from the calling thread, 0 for none; returns the one before.
int set_thread_limit(int count);

// Who runs parallel regions. Auto: the team of the host's OpenMP runtime on threads that use it,
// unless its threads sleep between regions; our own workers otherwise. OpenMP: that team on every
// thread, as far as a runtime is loaded. Serial: the calling thread.
enum class Mode : int { Auto, Pool, OpenMP, Serial };

// passive: the OpenMP runtimes of this process are told to sleep between regions.
void set_mode(Mode mode, bool passive);
Mode get_mode();

// Path of the OpenMP runtime whose team would run this thread's next region; empty: our workers.
std::string team_of_this_thread();

// Limits the launches of one op's call.
class OpLimit {
 public:
  explicit OpLimit(int count);
  ~OpLimit();
  OpLimit(const OpLimit&) = delete;
  OpLimit& operator=(const OpLimit&) = delete;

 private:
  int before_;
};

struct Stats {
  int threads;        // the process's budget
  int workers;        // started so far
  uint64_t launches;  // regions run on several threads or offered to them
  uint64_t joined;    // those run on the team of an OpenMP runtime
  uint64_t alone;     // periods without helpers, because one had been preempted (solitude.h)
};
Stats stats();

// The default budget: min of the affinity mask and the cgroup quota below `root`. See budget.cpp.
struct Budget {
  int affinity;
  double quota;  // processors, 0 for none
  int threads;
};
Budget budget(const char* root);

}  // namespace jitops::pool
