// Regions on oneTBB.
#include <tbb/parallel_for.h>

#include <atomic>
#include <cstdint>

struct Env {
  void* sync;
  int32_t num_task;
};
using Task = int (*)(int task, Env* env, void* data);

extern "C" int tbb_launch(Task task, void* data, int tasks) {
  std::atomic<int> code{0};
  tbb::parallel_for(0, tasks, [&](int i) {
    Env env{nullptr, tasks};
    if (const int mine = task(i, &env, data)) code = mine;
  });
  return code;
}
