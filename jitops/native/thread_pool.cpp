// Callers publish their region in a slot and take part; idle workers find slots and claim tasks one
// by one, so that a slow or preempted thread delays nobody but its own task. All shared state is in
// `Pool`; it is never destroyed.
#include "thread_pool.h"

#include "openmp.h"
#include "placement.h"
#include "region.h"
#include "solitude.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <mutex>

namespace jitops::pool {
namespace {

constexpr int kSlots = 64;  // regions open at once; further callers run alone
constexpr int kMaxThreads = 1024;
constexpr int kTasksPerThread = 4;  // when the kernel leaves the number to us

struct Pool {
  Slot slots[kSlots];
  // Bumped after each publication; workers sleep on it. Pairs with `sleepers`: a publisher bumps,
  // then reads sleepers; a worker counts itself, then sleeps only if the value is still the one it
  // saw (both sequentially consistent).
  alignas(64) std::atomic<uint32_t> signal{0};
  std::atomic<int32_t> sleepers{0};  // workers in or about to enter the futex
  std::atomic<int32_t> spinners{0};  // workers looking at `signal`; a hint for how many to wake
  std::atomic<int32_t> caller{-1};   // processor that sleepers were last called from; a hint
  alignas(64) std::atomic<int32_t> active{
      0};  // threads inside regions: callers always, workers only below the budget
  alignas(64) std::atomic<int32_t> threads{0};  // budget; 0: not determined yet
  std::atomic<int32_t> workers{0};              // started; written under `starting`, read anywhere
  std::atomic<uint32_t> used{0};                // slots ever taken are those below; only grows
  std::atomic<uint32_t> epoch{0};  // forks survived; written in the child while it has one thread
  std::atomic<Mode> mode{Mode::Auto};  // set_mode
  std::atomic<bool> passive{false};    // likewise: the host's OpenMP threads sleep at once
  Solitude solitude;                   // while it lasts, workers are not asked for help
  std::atomic<uint64_t> joined{0};     // regions run on the host's team; counted in run_joined
  std::mutex starting;                 // guards starting workers
};

Pool g_pool;  // constant-initialised, trivially alive until the process ends

thread_local int t_depth = 0;        // regions this thread is inside of
thread_local int t_limit = 0;        // set_thread_limit
thread_local int t_op_limit = 0;     // OpLimit
thread_local unsigned t_slot = 0;    // slot used last
thread_local bool t_forked = false;  // the thread a child began with: its OpenMP team stayed behind

// Callers that ended a region a moment ago and probably begin the next one now: their cores are not
// free.
int resting_callers() {
  const uint64_t now = ticks();
  const unsigned used = g_pool.used.load(std::memory_order_relaxed);
  int resting = 0;
  for (unsigned i = 0; i < used; ++i) {
    const Slot& slot = g_pool.slots[i];
    const bool busy = slot.busy.load(std::memory_order_relaxed) != 0;
    if (!busy && now - slot.left.load(std::memory_order_relaxed) < kMoment) ++resting;
  }
  return resting;
}

// A worker becomes active only below the budget.
bool enter_budget() {
  const int32_t budget = g_pool.threads.load(std::memory_order_relaxed) - resting_callers();
  int32_t active = g_pool.active.load(std::memory_order_relaxed);
  while (active < budget) {
    if (g_pool.active.compare_exchange_weak(active, active + 1, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

bool over_budget() {
  return g_pool.active.load(std::memory_order_relaxed) >
         g_pool.threads.load(std::memory_order_relaxed);
}

// Help with one region while it has tasks and the budget allows. True if any task was run.
bool help(Slot& slot) {
  const uint64_t ticket = slot.ticket.load(std::memory_order_acquire);
  if (!has_work(ticket)) return false;
  step();
  const uint32_t generation = generation_of(ticket);
  if (!take_seat(slot, generation)) return false;
  const uint32_t epoch = g_pool.epoch.load(std::memory_order_relaxed);
  const uint64_t begun = ticks();
  uint32_t finished = 0;
  for (int index; !over_budget() && (index = claim<From::Last>(slot, generation)) >= 0;
       ++finished) {
    run_task(slot, index);
    if (g_pool.epoch.load(std::memory_order_relaxed) != epoch) pthread_exit(nullptr);
  }
  if (finished != 0) {
    const uint64_t usual = slot.usual.load(std::memory_order_relaxed);
    g_pool.solitude.tasks_took(ticks() - begun, finished * usual);
  }
  leave_seat(slot, generation);
  finish_tasks(slot, finished);
  return finished != 0;
}

bool any_worth_help() {
  const unsigned used = g_pool.used.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < used; ++i) {
    if (worth_help(g_pool.slots[i])) return true;
  }
  return false;
}

// One look at all regions, starting at a place of the worker's own.
bool help_somewhere(unsigned start) {
  if (!any_worth_help() || !enter_budget()) return false;
  const unsigned used = g_pool.used.load(std::memory_order_relaxed);
  bool helped = false;
  for (unsigned i = 0; i < used; ++i) helped |= help(g_pool.slots[(start + i) % used]);
  g_pool.active.fetch_sub(1, std::memory_order_relaxed);
  return helped;
}

void* work(void* argument) {
  const unsigned start = static_cast<unsigned>(reinterpret_cast<uintptr_t>(argument));
  t_depth = 1;  // launches from tasks run inline
  Placement placement;
  bool late = false;  // called, and found nothing left to do
  for (;;) {
    const uint32_t seen = g_pool.signal.load(std::memory_order_seq_cst);
    if (help_somewhere(start)) {
      late = false;
      continue;
    }
    const auto quiet = [seen] { return g_pool.signal.load(std::memory_order_seq_cst) == seen; };
    g_pool.spinners.fetch_add(1, std::memory_order_relaxed);
    const bool called = spin_while(quiet, late ? kGlance : kSpin);
    g_pool.spinners.fetch_sub(1, std::memory_order_relaxed);
    if (called) continue;
    step();
    g_pool.sleepers.fetch_add(1, std::memory_order_seq_cst);
    step();
    futex_wait(g_pool.signal, seen);
    g_pool.sleepers.fetch_sub(1, std::memory_order_seq_cst);
    placement.keep_off(g_pool.caller.load(std::memory_order_relaxed));
    late = true;
  }
  return nullptr;
}

void before_fork() { g_pool.starting.lock(); }
void after_fork_parent() { g_pool.starting.unlock(); }

// The child has one thread: no workers, no callers. Regions of the parent's threads are closed; a
// region that the forking thread itself is inside of notices the new epoch.
void after_fork_child() {
  for (Slot& slot : g_pool.slots) {
    const uint64_t generation = generation_of(slot.ticket.load(std::memory_order_relaxed)) + 1u;
    slot.ticket.store(generation << 32, std::memory_order_relaxed);
    slot.seats.store(generation << 32, std::memory_order_relaxed);
    slot.done.store(0, std::memory_order_relaxed);
    slot.busy.store(0, std::memory_order_relaxed);
  }
  g_pool.sleepers.store(0, std::memory_order_relaxed);
  g_pool.spinners.store(0, std::memory_order_relaxed);
  g_pool.active.store(0, std::memory_order_relaxed);
  g_pool.workers.store(0, std::memory_order_relaxed);
  g_pool.epoch.fetch_add(1, std::memory_order_relaxed);
  t_forked = true;
  g_pool.starting.unlock();
}

bool start_worker(unsigned number) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the host's threads
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int code = pthread_create(&thread, &attributes, work,
                                  reinterpret_cast<void*>(static_cast<uintptr_t>(number)));
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return code == 0;
}

// When the library is loaded, not at the first region: a thread that forks must find the handlers
// in place before another one enters an OpenMP runtime, whose locks the child would inherit.
[[gnu::constructor]] void register_for_forks() {
  pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

// A thread that cannot be started is done without: callers finish their regions themselves.
void start_workers(int wanted) {
  std::lock_guard<std::mutex> hold(g_pool.starting);
  int started = g_pool.workers.load(std::memory_order_relaxed);
  while (started < wanted && start_worker(static_cast<unsigned>(started))) ++started;
  g_pool.workers.store(started, std::memory_order_relaxed);
}

int total_threads() {
  int threads = g_pool.threads.load(std::memory_order_relaxed);
  if (threads == 0) {
    threads = budget("/").threads;
    int32_t none = 0;
    if (!g_pool.threads.compare_exchange_strong(none, threads)) threads = none;
  }
  return threads;
}

int lower(int limit, int further) { return further > 0 ? std::min(limit, further) : limit; }

int run_inline(Task task, void* data, int num_task) {
  const int count = std::max(num_task, 1);
  Env env{nullptr, count};
  ++t_depth;
  int code = 0;
  for (int i = 0; i < count && code == 0; ++i) code = task(i, &env, data);
  --t_depth;
  return code;
}

Slot* take_slot() {
  for (unsigned i = 0; i < kSlots; ++i) {
    Slot& slot = g_pool.slots[(t_slot + i) % kSlots];
    if (slot.busy.load(std::memory_order_relaxed) == 0 &&
        slot.busy.exchange(1, std::memory_order_acquire) == 0) {
      t_slot = (t_slot + i) % kSlots;
      unsigned used = g_pool.used.load(std::memory_order_relaxed);
      while (used <= t_slot && !g_pool.used.compare_exchange_weak(used, t_slot + 1)) {
      }
      return &slot;
    }
  }
  return nullptr;
}

void wake_workers(int wanted) {
  g_pool.signal.fetch_add(1, std::memory_order_seq_cst);
  step();
  const int sleepers = g_pool.sleepers.load(std::memory_order_seq_cst);
  const int missing = wanted - g_pool.spinners.load(std::memory_order_relaxed);
  if (sleepers <= 0 || missing <= 0) return;
  g_pool.caller.store(sched_getcpu(), std::memory_order_relaxed);
  futex_wake(g_pool.signal, std::min(sleepers, missing));
}

// After a region: a core is free, and another caller's region may be short of helpers. Only one
// that has lasted a while is worth waking a worker for.
void hand_over(Slot& mine) {
  const uint64_t now = ticks();
  mine.left.store(now, std::memory_order_relaxed);
  step();
  mine.busy.store(0, std::memory_order_release);
  if (g_pool.active.fetch_sub(1, std::memory_order_relaxed) == 1) return;
  const unsigned used = g_pool.used.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < used; ++i) {
    const Slot& slot = g_pool.slots[i];
    if (has_work(slot.ticket.load(std::memory_order_relaxed)) &&
        now - slot.started.load(std::memory_order_relaxed) > kMoment) {
      return wake_workers(1);
    }
  }
}

int run_region(Slot& slot, Task task, void* data, uint32_t tasks, int limit) {
  const uint32_t epoch = g_pool.epoch.load(std::memory_order_relaxed);
  const int active = g_pool.active.fetch_add(1, std::memory_order_relaxed) + 1;
  const uint32_t generation = publish(slot, task, data, tasks, limit - 1);
  const int idle = g_pool.threads.load(std::memory_order_relaxed) - active - resting_callers();
  if (idle > 0) wake_workers(std::min({idle, limit - 1, static_cast<int>(tasks) - 1}));
  ++t_depth;
  const uint64_t begun = ticks();
  uint32_t finished = 0;
  for (int index; (index = claim<From::First>(slot, generation)) >= 0; ++finished) {
    run_task(slot, index);
    if (finished == 0) slot.usual.store(ticks() - begun, std::memory_order_relaxed);
    if (g_pool.epoch.load(std::memory_order_relaxed) != epoch) {  // this is a forked child
      --t_depth;
      return -1;
    }
  }
  --t_depth;
  finish_tasks(slot, finished);
  wait_done(slot, tasks);
  const int code = slot.error.load(std::memory_order_relaxed);
  hand_over(slot);
  return code;
}

// The OpenMP runtime whose team runs this thread's regions, or null for our own workers.
//   Joining pays on a thread that runs the host's parallel code: the team is there, and still
//   spinning. A second team beside it would wait for its cores. On other threads, and where the
//   team's threads sleep at once (`passive`), our own workers come sooner. benchmarks/threads.py
const openmp::Runtime* team_to_join() {
  const Mode mode = g_pool.mode.load(std::memory_order_relaxed);
  if (mode == Mode::Pool || mode == Mode::Serial || t_forked) return nullptr;
  if (mode == Mode::OpenMP) return openmp::of_this_thread(true);
  return g_pool.passive.load(std::memory_order_relaxed) ? nullptr : openmp::of_this_thread(false);
}

// A region that the members of an OpenMP team share; lives on its caller's stack.
struct Joined {
  const openmp::Runtime* runtime;
  Slot* slot;
  uint32_t generation;
  int limit;
};

// What each member does. The first `limit` of the team take tasks: a smaller team would cost the
// runtime the making of a new one. The barrier at the end of the region publishes their results.
void help_joined(void* data) {
  const Joined& joined = *static_cast<const Joined*>(data);
  const int number = joined.runtime->thread_num();
  if (number >= joined.limit) return;
  ++t_depth;
  Slot& slot = *joined.slot;
  if (number == 0) {
    for (int i; (i = claim<From::First>(slot, joined.generation)) >= 0;) run_task(slot, i);
  } else {
    for (int i; (i = claim<From::Last>(slot, joined.generation)) >= 0;) run_task(slot, i);
  }
  --t_depth;
}

// Callers count against the budget here too: one that finds the cores taken runs alone.
int run_joined(const openmp::Runtime& runtime, Slot& slot, Task task, void* data, uint32_t tasks,
               int limit) {
  const int callers = g_pool.active.fetch_add(1, std::memory_order_relaxed) + resting_callers();
  const int share = g_pool.threads.load(std::memory_order_relaxed) - callers;
  const uint32_t generation = publish(slot, task, data, tasks, 0);
  Joined joined{&runtime, &slot, generation, std::min(limit, share)};
  if (joined.limit > 1) {
    g_pool.joined.fetch_add(1, std::memory_order_relaxed);
    runtime.parallel(help_joined, &joined, 0, 0);
  } else {
    ++t_depth;
    for (int i; (i = claim<From::First>(slot, generation)) >= 0;) run_task(slot, i);
    --t_depth;
  }
  const int code = slot.error.load(std::memory_order_relaxed);
  hand_over(slot);
  return code;
}

}  // namespace

int launch(Task task, void* data, int num_task) {
  const int limit = t_depth > 0 ? 1 : get_threads();
  if (limit <= 1 || num_task == 1 || num_task > kMaxTasks) return run_inline(task, data, num_task);
  const openmp::Runtime* runtime = team_to_join();
  if (runtime != nullptr && runtime->in_parallel() != 0) return run_inline(task, data, num_task);
  const bool alone = runtime == nullptr && g_pool.solitude.now();
  Slot* slot = alone ? nullptr : take_slot();
  if (slot == nullptr) return run_inline(task, data, num_task);
  const uint32_t tasks = static_cast<uint32_t>(num_task > 0 ? num_task : limit * kTasksPerThread);
  if (runtime != nullptr) return run_joined(*runtime, *slot, task, data, tasks, limit);
  const int wanted = total_threads() - 1;
  if (g_pool.workers.load(std::memory_order_relaxed) < wanted) start_workers(wanted);
  return run_region(*slot, task, data, tasks, limit);
}

void set_mode(Mode mode, bool passive) {
  g_pool.mode.store(mode, std::memory_order_relaxed);
  g_pool.passive.store(passive, std::memory_order_relaxed);
}

Mode get_mode() { return g_pool.mode.load(std::memory_order_relaxed); }

std::string team_of_this_thread() {
  const openmp::Runtime* runtime = get_threads() > 1 ? team_to_join() : nullptr;
  return runtime == nullptr ? std::string() : runtime->path;
}

void set_threads(int count) {
  const int threads = count > 0 ? count : budget("/").threads;
  g_pool.threads.store(std::min(threads, kMaxThreads), std::memory_order_relaxed);
}

int get_threads() {
  if (g_pool.mode.load(std::memory_order_relaxed) == Mode::Serial) return 1;
  return lower(lower(total_threads(), t_limit), t_op_limit);
}

int set_thread_limit(int count) {
  const int before = t_limit;
  t_limit = count;
  return before;
}

OpLimit::OpLimit(int count) : before_(t_op_limit) {
  if (count > 0) t_op_limit = count;
}
OpLimit::~OpLimit() { t_op_limit = before_; }

Stats stats() {
  Stats out{total_threads(), g_pool.workers.load(std::memory_order_relaxed), 0,
            g_pool.joined.load(std::memory_order_relaxed), g_pool.solitude.count()};
  for (const Slot& slot : g_pool.slots) {
    out.launches += slot.launches.load(std::memory_order_relaxed);
  }
  return out;
}

}  // namespace jitops::pool
