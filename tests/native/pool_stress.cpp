// Random launches from many threads, with limits, nesting, errors, threads that come and go, budget
// changes and forks. Built by `cmake -DJITOPS_STRESS=ON -DJITOPS_SANITIZE=thread jitops/native`;
// prints nothing and exits with 0 when clean.
//   pool_stress [callers [regions of each [forks [OpenMP runtime]]]]
#include "thread_pool.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace pool = jitops::pool;

namespace {

struct Region {
  std::vector<int> counts;  // plain on purpose: a task that runs twice, or too late, is a race
  int fail = -1;
  bool nested = false;
  unsigned work = 0;
};

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "pool_stress: %s\n", what);
  std::_Exit(1);
}

int leaf(int, pool::Env*, void* data) {
  ++*static_cast<int*>(data);
  return 0;
}

int body(int task, pool::Env* env, void* data) {
  Region& region = *static_cast<Region*>(data);
  check(env->num_task == static_cast<int>(region.counts.size()) || region.counts.size() == 4096,
        "num_task");
  volatile unsigned spin = region.work;
  while (spin > 0) spin = spin - 1;
  ++region.counts[static_cast<size_t>(task)];
  if (region.nested) {
    int inner = 0;
    check(pool::launch(leaf, &inner, 5) == 0 && inner == 5, "nested");
  }
  return task == region.fail ? 42 : 0;
}

void one_region(std::mt19937& random) {
  Region region;
  const bool free_choice = random() % 4 == 0;
  const int tasks = free_choice ? 0 : 1 + static_cast<int>(random() % 20);
  region.counts.assign(free_choice ? 4096 : static_cast<size_t>(tasks), 0);
  region.nested = random() % 8 == 0;
  region.work = random() % 3 == 0 ? random() % 3000 : 0;
  if (!free_choice && random() % 8 == 0) region.fail = static_cast<int>(random() % tasks);
  const pool::OpLimit limit(random() % 4 == 0 ? 1 + static_cast<int>(random() % 4) : 0);
  const int code = pool::launch(body, &region, tasks);
  check(code == (region.fail >= 0 ? 42 : 0), "code");
  int ran = 0;
  for (const int count : region.counts) {
    check(count <= 1, "a task ran twice");
    ran += count;
  }
  check(free_choice ? ran >= 1 : region.fail >= 0 || ran == tasks, "a task did not run");
}

void caller(unsigned seed, int regions) {
  std::mt19937 random(seed);
  for (int i = 0; i < regions; ++i) {
    one_region(random);
    if (random() % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
    if (random() % 256 == 0) pool::set_thread_limit(static_cast<int>(random() % 4));
    if (random() % 512 == 0) pool::set_threads(1 + static_cast<int>(random() % 6));
  }
}

// The sanitizers' own locks do not survive a fork: one may be held by a thread that the child
// lacks, so that an allocation or a new thread in the child waits for ever. There, the child only
// checks that its pool runs a region.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
void in_child(std::mt19937&) {
  int ran = 0;
  pool::set_threads(1);
  check(pool::launch(leaf, &ran, 5) == 0 && ran == 5, "a region in the child");
}
#else
void in_child(std::mt19937& random) {
  for (int i = 0; i < 20; ++i) one_region(random);
}
#endif

void forks(unsigned seed, int count) {
  std::mt19937 random(seed);
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
    const pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
      alarm(60);  // a hang is a failure, not a wait
      in_child(random);
      std::_Exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 16;
  const int regions = argc > 2 ? std::atoi(argv[2]) : 2000;
  const int children = argc > 3 ? std::atoi(argv[3]) : 50;
  pool::set_threads(4);
  if (argc > 4) {  // the regions run on the team of the OpenMP runtime of this name
    check(dlopen(argv[4], RTLD_NOW) != nullptr, "no such OpenMP runtime");
    pool::set_mode(pool::Mode::OpenMP, false);
  }
  for (int round = 0; round < 4; ++round) {
    std::vector<std::thread> callers;
    for (int i = 0; i < threads; ++i) {
      callers.emplace_back(caller, static_cast<unsigned>(round * 1000 + i), regions / 4);
    }
    forks(static_cast<unsigned>(round), children / 4);
    for (std::thread& thread : callers) thread.join();
  }
  check(argc <= 4 || pool::stats().joined > 0, "no region was joined");
  return 0;
}
