// Busy neighbours: when other processes want the cores too, a helper is sometimes preempted in the
// middle of a task, and its caller waits for a time slice of the system, which is milliseconds.
// After such a task callers run alone for a while, each on the core it has, and then try again.
#pragma once

#include "waiting.h"

#include <sys/resource.h>

#include <algorithm>

namespace jitops::pool {

class Solitude {
 public:
  // Whether callers do without helpers at the moment.
  bool now() const {
    const uint64_t until = until_.load(std::memory_order_relaxed);
    return __builtin_expect(until != 0, 0) && ticks() < until;
  }

  // A helper reports how long its tasks took, and how long as many take their caller (0: unknown),
  // in ticks.
  void tasks_took(uint64_t duration, uint64_t usual) {
    const bool slow = duration > kSlow && usual != 0 && duration > 2 * usual;
    if (__builtin_expect(slow, 0) && preempted()) begin();
  }

  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kMillisecond = 10 * kMoment;
  static constexpr uint64_t kSlow = kMillisecond / 4;
  static constexpr uint64_t kFirst = 20 * kMillisecond, kLongest = 1000 * kMillisecond;

  // Whether this thread has lost its core involuntarily since it was last asked.
  static bool preempted() {
    static thread_local long seen = 0;
    rusage usage{};
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return false;
    const bool more = usage.ru_nivcsw > seen;
    seen = usage.ru_nivcsw;
    return more;
  }

  // Twice as long as the last time, if that was not long ago.
  void begin() {
    const uint64_t present = ticks();
    uint64_t until = until_.load(std::memory_order_relaxed);
    if (present < until) return;
    const uint64_t last = length_.load(std::memory_order_relaxed);
    const bool again = until != 0 && present - until < 2 * last;
    const uint64_t length = again ? std::min(2 * last, kLongest) : kFirst;
    if (until_.compare_exchange_strong(until, present + length, std::memory_order_relaxed)) {
      length_.store(length, std::memory_order_relaxed);
      count_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  std::atomic<uint64_t> until_{0};   // ticks; CAS by whoever begins a period, read by callers
  std::atomic<uint64_t> length_{0};  // of the latest period, in ticks; written by who began it
  std::atomic<uint64_t> count_{0};   // periods so far
};

}  // namespace jitops::pool
