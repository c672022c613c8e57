// Blocks allocated, grown and released by many threads, also by threads other than their own; exits
// with 0 when clean.
#include "memory.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace memory = jitops::memory;

namespace {

struct Block {
  unsigned char* data;
  size_t bytes;
  unsigned char mark;
};

std::mutex g_lock;
std::vector<Block> g_shared;  // guarded by g_lock

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "memory_stress: %s\n", what);
  std::_Exit(1);
}

Block make(std::mt19937& random) {
  const unsigned scale = random() % 22;
  const size_t bytes = random() % (size_t{1} << scale);
  const auto mark = static_cast<unsigned char>(random());
  auto* data = static_cast<unsigned char*>(memory::allocate(bytes));
  check(data != nullptr && reinterpret_cast<uintptr_t>(data) % memory::kAlignment == 0,
        "alignment");
  std::memset(data, mark, bytes);
  return {data, bytes, mark};
}

void verify(const Block& block) {
  if (block.bytes == 0) return;
  check(block.data[0] == block.mark && block.data[block.bytes / 2] == block.mark &&
            block.data[block.bytes - 1] == block.mark,
        "contents");
}

void work(unsigned seed, int steps) {
  std::mt19937 random(seed);
  for (int i = 0; i < steps; ++i) {
    Block mine = make(random);
    if (random() % 4 == 0) {
      const size_t bytes = random() % 100000;
      mine.data = static_cast<unsigned char*>(memory::reallocate(mine.data, bytes));
      if (bytes < mine.bytes) mine.bytes = bytes;
    }
    verify(mine);
    Block other{nullptr, 0, 0};
    {
      std::lock_guard<std::mutex> hold(g_lock);
      g_shared.push_back(mine);
      if (g_shared.size() > 64) {
        const size_t pick = random() % g_shared.size();
        other = g_shared[pick];
        g_shared[pick] = g_shared.back();
        g_shared.pop_back();
      }
    }
    if (other.data != nullptr) verify(other);
    memory::release(other.data);
    if (random() % 500 == 0) memory::trim();
    if (random() % 100 == 0) check(memory::stats().limit > 0, "stats");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 2000;
  for (unsigned round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 8; ++i) threads.emplace_back(work, 100 * round + i, steps);
    for (std::thread& thread : threads) thread.join();
  }
  for (const Block& block : g_shared) memory::release(block.data);
  memory::trim();
  const memory::Stats stats = memory::stats();
  check(stats.retained == 0 && stats.system_allocations == stats.system_releases, "leak");
  return 0;
}
