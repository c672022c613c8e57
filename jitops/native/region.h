// A parallel region: the slot that its caller publishes it in, and how its tasks are claimed,
// accounted for and waited for. Everything here is lock-free; Slot says who writes what.
#pragma once

#include "thread_pool.h"
#include "waiting.h"

namespace jitops::pool {

constexpr int kMaxTasks = 0xffff;
constexpr uint32_t kWaiting = 1u << 31;

// Region of one caller.
//   ticket: generation << 32 | end << 16 | begin of the unclaimed tasks. Written by the caller to
//     publish, then only by CAS: the caller claims the first, helpers the last, so that each finds
//     its part of the data in its own cache the next time. Until the claiming thread adds its task
//     to `done` the region stays open, so `task`, `data` and `tasks` are read after a claim only.
//   seats: generation << 32 | helpers that may still join. CAS by helpers, +1 when they leave, same
//     generation only.
//   done: tasks finished, and kWaiting when the caller sleeps on it. Reset by the caller before it
//     publishes.
//   error: first non-zero code; CAS from 0.
//   usual: ticks that the caller's first task took, 0 before; a hint for helpers.
//   busy: 1 while a caller owns the slot; taken by exchange, given back by a release store.
//   started, left: clock ticks when the latest region began and ended; written by the owner, hints
//     for everyone. `started` lies beside the ticket: who looks for work reads both.
//   launches: written by the owner, read by stats().
struct alignas(64) Slot {
  std::atomic<uint64_t> ticket{0};
  std::atomic<uint64_t> seats{0};
  std::atomic<Task> task{nullptr};
  std::atomic<void*> data{nullptr};
  std::atomic<uint32_t> tasks{0};
  std::atomic<uint64_t> started{0};
  alignas(64) std::atomic<uint32_t> done{0};
  std::atomic<int32_t> error{0};
  std::atomic<uint64_t> usual{0};
  alignas(64) std::atomic<uint32_t> busy{0};
  std::atomic<uint64_t> launches{0};
  std::atomic<uint64_t> left{0};
};

inline uint32_t generation_of(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
inline uint32_t end_of(uint64_t ticket) { return static_cast<uint32_t>(ticket >> 16) & kMaxTasks; }
inline uint32_t begin_of(uint64_t ticket) { return static_cast<uint32_t>(ticket) & kMaxTasks; }
inline bool has_work(uint64_t ticket) { return begin_of(ticket) < end_of(ticket); }

// Whether the slot has a region that is worth a helper's while: unclaimed tasks, and an age that it
// is given time to reach here. Claims of others and moving cache lines would only slow a region
// that its caller ends before that.
inline bool worth_help(const Slot& slot) {
  const uint64_t ticket = slot.ticket.load(std::memory_order_acquire);
  if (!has_work(ticket)) return false;
  const uint64_t started = slot.started.load(std::memory_order_relaxed);
  if (ticks() - started >= kYoung) return true;
  while (ticks() - started < kYoung) pause_cpu();
  const uint64_t later = slot.ticket.load(std::memory_order_relaxed);
  return generation_of(later) == generation_of(ticket) && has_work(later);
}

enum class From { First, Last };

// Claim a task of this generation; -1 when there is none.
template <From from>
int claim(Slot& slot, uint32_t generation) {
  constexpr uint64_t one = from == From::First ? 1 : -(uint64_t{1} << 16);
  uint64_t ticket = slot.ticket.load(std::memory_order_acquire);
  while (generation_of(ticket) == generation && has_work(ticket)) {
    step();
    if (slot.ticket.compare_exchange_weak(ticket, ticket + one, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
      return static_cast<int>(from == From::First ? begin_of(ticket) : end_of(ticket) - 1);
    }
  }
  return -1;
}

inline void run_task(Slot& slot, int index) {
  if (slot.error.load(std::memory_order_relaxed) != 0) return;
  Env env{nullptr, static_cast<int32_t>(slot.tasks.load(std::memory_order_relaxed))};
  const Task task = slot.task.load(std::memory_order_relaxed);
  const int code = task(index, &env, slot.data.load(std::memory_order_relaxed));
  int32_t none = 0;
  step();
  if (code != 0) slot.error.compare_exchange_strong(none, code, std::memory_order_relaxed);
}

// Account for finished tasks; whoever finishes the last one wakes a sleeping caller.
inline void finish_tasks(Slot& slot, uint32_t count) {
  if (count == 0) return;
  const uint32_t tasks = slot.tasks.load(std::memory_order_relaxed);  // before the region may close
  step();
  const uint32_t before = slot.done.fetch_add(count, std::memory_order_acq_rel);
  step();
  if ((before & kWaiting) != 0 && (before & ~kWaiting) + count == tasks) {
    futex_wake(slot.done, 1);
  }
}

inline bool take_seat(Slot& slot, uint32_t generation) {
  uint64_t seats = slot.seats.load(std::memory_order_relaxed);
  while (generation_of(seats) == generation && static_cast<uint32_t>(seats) != 0) {
    step();
    if (slot.seats.compare_exchange_weak(seats, seats - 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

inline void leave_seat(Slot& slot, uint32_t generation) {
  uint64_t seats = slot.seats.load(std::memory_order_relaxed);
  while (generation_of(seats) == generation &&
         !slot.seats.compare_exchange_weak(seats, seats + 1, std::memory_order_relaxed)) {
  }
}

inline uint32_t publish(Slot& slot, Task task, void* data, uint32_t tasks, int helpers) {
  const uint64_t generation = generation_of(slot.ticket.load(std::memory_order_relaxed)) + 1u;
  slot.task.store(task, std::memory_order_relaxed);
  slot.data.store(data, std::memory_order_relaxed);
  slot.tasks.store(tasks, std::memory_order_relaxed);
  slot.started.store(ticks(), std::memory_order_relaxed);
  slot.done.store(0, std::memory_order_relaxed);
  slot.error.store(0, std::memory_order_relaxed);
  slot.usual.store(0, std::memory_order_relaxed);
  slot.launches.store(slot.launches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  slot.seats.store(generation << 32 | static_cast<uint32_t>(helpers), std::memory_order_relaxed);
  step();
  slot.ticket.store(generation << 32 | tasks << 16, std::memory_order_release);
  step();
  return static_cast<uint32_t>(generation);
}

inline void wait_done(Slot& slot, uint32_t tasks) {
  const auto unfinished = [&] {
    return (slot.done.load(std::memory_order_acquire) & ~kWaiting) != tasks;
  };
  if (!unfinished() || spin_while(unfinished)) return;
  while (unfinished()) {
    uint32_t seen = slot.done.load(std::memory_order_acquire);
    if ((seen & ~kWaiting) == tasks) break;
    if ((seen & kWaiting) == 0 &&
        !slot.done.compare_exchange_strong(seen, seen | kWaiting, std::memory_order_acq_rel)) {
      continue;
    }
    step();
    futex_wait(slot.done, seen | kWaiting);
  }
}

}  // namespace jitops::pool
