// Result memory: 64-byte aligned blocks, recycled. Safe from any thread, with or without the GIL.
//
// Blocks of up to 64 KiB are kept per thread (at most 1 MiB a thread), larger ones in one
// process-wide store, so that a result of the same size touches no fresh pages. The store keeps at
// most a sixteenth of the machine's memory and at most 256 MiB; what goes beyond is given back to
// the system, oldest first. `trim` gives back everything idle.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jitops::memory {

constexpr size_t kAlignment = 64;

void* allocate(
    size_t bytes) noexcept;  // null when the system has no more; allocate(0) is a valid block
void release(void* block) noexcept;  // null is ignored
void* reallocate(void* block, size_t bytes) noexcept;

struct Stats {
  uint64_t retained;            // idle bytes in the store and in all threads
  uint64_t limit;               // bound of the store, in bytes
  uint64_t system_allocations;  // blocks taken from the system so far
  uint64_t system_releases;     // blocks given back so far
};
Stats stats() noexcept;

// Give idle blocks back; other threads give theirs back at their next allocation. Returns the bytes
// released now.
uint64_t trim() noexcept;

}  // namespace jitops::memory
