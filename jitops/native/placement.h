// Where workers wake up. On a virtual machine Linux takes the processors that sleep for preempted
// and wakes a thread on the processor of the thread that woke it, where it waits until its waker
// rests: the kernel's work is done by then. So a worker keeps off the processor that workers were
// last called from; its other processors stay as they are, and nobody else's are touched.
#pragma once

#include <sched.h>
#include <unistd.h>

namespace jitops::pool {

class Placement {
 public:
  // After the worker slept: `caller` is the processor of the latest call for help, -1 for none.
  void keep_off(int caller) {
    if (caller < 0 || caller >= CPU_SETSIZE || caller == off_) return;
    cpu_set_t present, leaders;
    if (sched_getaffinity(0, sizeof present, &present) != 0 ||
        sched_getaffinity(getpid(), sizeof leaders, &leaders) != 0) {
      return;
    }
    // What someone else has set since is what the worker may use from now on; the thread that leads
    // the process, which is never narrowed, tells their set from an equal one of ours.
    const bool ours =
        off_ >= 0 && CPU_EQUAL(&present, &narrowed_) && !CPU_EQUAL(&present, &leaders);
    if (!ours) granted_ = present;
    narrowed_ = granted_;
    CPU_CLR(static_cast<unsigned>(caller), &narrowed_);
    if (CPU_COUNT(&narrowed_) == 0) narrowed_ = granted_;
    if (sched_setaffinity(0, sizeof narrowed_, &narrowed_) == 0) off_ = caller;
  }

 private:
  cpu_set_t granted_{}, narrowed_{};
  int off_ = -1;  // the processor that `narrowed_` lacks
};

}  // namespace jitops::pool
