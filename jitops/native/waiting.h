// How the pool's threads wait: a clock for hints, a bounded spin, a futex. Linux; x86-64, aarch64.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace jitops::pool {

constexpr auto kSpin = std::chrono::microseconds(25);
constexpr auto kGlance = std::chrono::microseconds(5);
constexpr uint64_t kMoment = 300000;  // ticks, about 0.1 ms

// A place between two accesses to shared state. The stress programs built with JITOPS_CHAOS let
// other threads run here, at random, so that rare interleavings become common.
#ifdef JITOPS_CHAOS
void step();
constexpr uint64_t kYoung = 0;  // helpers join every region at once
#else
inline void step() {}
constexpr uint64_t kYoung = 900;  // ticks, about 0.3 us
#endif

// A clock for hints: about 2 to 4 ticks a nanosecond on x86-64; scaled to 3 elsewhere.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t count, frequency;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  return count * (3000000000u / frequency);
#endif
}

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline void futex_wait(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr,
          nullptr, 0);
}

inline void futex_wake(std::atomic<uint32_t>& word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, count, nullptr,
          nullptr, 0);
}

// Spin for a time at most while `blocked()`; true when it ended.
template <typename F>
bool spin_while(F blocked, std::chrono::microseconds limit = kSpin) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (!blocked()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < end);
  return !blocked();
}

}  // namespace jitops::pool
