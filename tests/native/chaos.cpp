// Random delays at the pool's steps: a schedule explorer for the stress programs.
#include "waiting.h"

#include <sched.h>
#include <time.h>

namespace jitops::pool {

void step() {
  thread_local uint64_t state = ticks() | 1;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  if (state % 8 == 0) sched_yield();
  if (state % 64 == 1) {
    const timespec moment{0, static_cast<long>(state >> 40) % 50000};
    nanosleep(&moment, nullptr);
  }
}

}  // namespace jitops::pool
