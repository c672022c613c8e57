#include "memory.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace jitops::memory {
namespace {

constexpr size_t kSmallest = 1024;         // up to here classes step by 64 bytes
constexpr size_t kSmall = 64 * 1024;       // up to here blocks are kept per thread
constexpr size_t kMapped = 256 * 1024;     // from here blocks are mappings of their own
constexpr size_t kHuge = 4 * 1024 * 1024;  // from here mappings are aligned for huge pages
constexpr size_t kHugePage = 2 * 1024 * 1024;
constexpr size_t kThreadLimit = 1024 * 1024;
constexpr int kSmallClasses = 16 + 6 * 4;
constexpr int kLargeClasses = 48 * 4;

// Stands in the 64 bytes before each block; written by the owner of the block only.
struct alignas(kAlignment) Header {
  Header* next;   // in a list of idle blocks
  Header* older;  // in the store: order of arrival
  Header* newer;
  size_t capacity;  // usable bytes
  size_t mapped;    // length of the mapping, 0 for blocks of the C library
  uint32_t size_class;
};
static_assert(sizeof(Header) == kAlignment, "the block behind a header stays aligned");

int log2_floor(size_t value) { return 63 - __builtin_clzll(value); }

// Class of a request and the capacity of its blocks: steps of a quarter of a power of two (at most
// 25 % unused).
struct SizeClass {
  int index;
  size_t capacity;
};

SizeClass classify(size_t bytes) {
  if (bytes <= kSmallest) {
    const size_t steps = bytes <= 64 ? 1 : (bytes + 63) / 64;
    return {static_cast<int>(steps) - 1, steps * 64};
  }
  const int k = log2_floor(bytes - 1);
  const size_t quarter = ((bytes - 1) >> (k - 2)) & 3;
  return {16 + (k - 10) * 4 + static_cast<int>(quarter), (quarter + 5) << (k - 2)};
}

std::atomic<uint64_t> g_allocations{0};  // statistics only
std::atomic<uint64_t> g_releases{0};     // statistics only
std::atomic<uint32_t> g_trims{0};  // count of trims; a thread that lags behind empties its cache

void* block_of(Header* header) { return header + 1; }
Header* header_of(void* block) { return static_cast<Header*>(block) - 1; }

char* map_aligned(size_t length, size_t alignment) {
  const size_t total = length + alignment;
  void* raw = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  char* begin = static_cast<char*>(raw);
  const size_t lead = (alignment - reinterpret_cast<uintptr_t>(begin) % alignment) % alignment;
  if (lead != 0) munmap(begin, lead);
  munmap(begin + lead + length, total - lead - length);
  return begin + lead;
}

Header* map_block(size_t capacity) {
  const size_t page = 4096;
  const size_t length = (capacity + sizeof(Header) + page - 1) / page * page;
  char* begin = map_aligned(length, capacity >= kHuge ? kHugePage : page);
  if (begin == nullptr) return nullptr;
  if (capacity >= kHuge) madvise(begin, length, MADV_HUGEPAGE);
  Header* header = reinterpret_cast<Header*>(begin);
  header->mapped = length;
  return header;
}

Header* system_allocate(SizeClass size) {
  Header* header = nullptr;
  if (size.capacity >= kMapped) {
    header = map_block(size.capacity);
  } else {
    void* raw = nullptr;
    if (posix_memalign(&raw, kAlignment, size.capacity + sizeof(Header)) != 0) return nullptr;
    header = static_cast<Header*>(raw);
    header->mapped = 0;
  }
  if (header == nullptr) return nullptr;
  header->capacity = size.capacity;
  header->size_class = static_cast<uint32_t>(size.index);
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  return header;
}

void system_release(Header* header) {
  g_releases.fetch_add(1, std::memory_order_relaxed);
  if (header->mapped != 0) {
    munmap(header, header->mapped);
  } else {
    std::free(header);
  }
}

// The process-wide store of large idle blocks. Every field is guarded by `lock`.
struct Store {
  std::mutex lock;
  Header* idle[kLargeClasses] = {};
  Header* oldest = nullptr;
  Header* newest = nullptr;
  uint64_t retained = 0;
  uint64_t limit = 0;

  void forget(Header* header) {
    (header->older != nullptr ? header->older->newer : oldest) = header->newer;
    (header->newer != nullptr ? header->newer->older : newest) = header->older;
    retained -= header->capacity;
  }

  void unlist(Header* header) {
    Header** link = &idle[header->size_class - kSmallClasses];
    while (*link != header) link = &(*link)->next;
    *link = header->next;
  }

  void keep(Header* header) {
    Header*& head = idle[header->size_class - kSmallClasses];
    header->next = head;
    head = header;
    header->older = newest;
    header->newer = nullptr;
    (newest != nullptr ? newest->newer : oldest) = header;
    newest = header;
    retained += header->capacity;
  }

  // Unlink what goes beyond `bound`, oldest first; the caller gives the list back to the system
  // outside the lock.
  Header* shrink(uint64_t bound) {
    Header* out = nullptr;
    while (retained > bound) {
      Header* header = oldest;
      unlist(header);
      forget(header);
      header->next = out;
      out = header;
    }
    return out;
  }
};

uint64_t store_limit() {
  const uint64_t pages = static_cast<uint64_t>(std::max(0L, sysconf(_SC_PHYS_PAGES)));
  const uint64_t sixteenth = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 16;
  return std::min<uint64_t>(sixteenth, 256ull << 20);
}

// Idle small blocks of one thread. All fields but `retained` belong to that thread alone.
struct ThreadCache {
  Header* idle[kSmallClasses] = {};
  std::atomic<uint64_t> retained{0};  // written by its thread, read by stats()
  uint32_t trims = 0;                 // the value of g_trims at the last emptying
  ThreadCache* next = nullptr;        // registry links, guarded by Registry::lock
  ThreadCache* previous = nullptr;

  void add(int64_t bytes) {
    const uint64_t now = retained.load(std::memory_order_relaxed) + static_cast<uint64_t>(bytes);
    retained.store(now, std::memory_order_relaxed);
  }

  uint64_t empty() {
    uint64_t bytes = 0;
    for (Header*& head : idle) {
      while (Header* header = head) {
        head = header->next;
        bytes += header->capacity;
        system_release(header);
      }
    }
    retained.store(0, std::memory_order_relaxed);
    trims = g_trims.load(std::memory_order_relaxed);
    return bytes;
  }
};

struct Registry {
  std::mutex lock;
  ThreadCache* first = nullptr;  // guarded by lock
};

// Leaked on purpose: blocks may be released while static destructors run.
Store& store();
Registry& registry();

struct Process {
  Store store;
  Registry registry;
};

void lock_all();
void unlock_all();

Process& process() {
  static Process* const the = [] {
    Process* made = new Process;
    made->store.limit = store_limit();
    pthread_atfork(lock_all, unlock_all, unlock_all);  // the child gets consistent lists
    return made;
  }();
  return *the;
}

Store& store() { return process().store; }
Registry& registry() { return process().registry; }

void lock_all() {
  registry().lock.lock();
  store().lock.lock();
}

void unlock_all() {
  store().lock.unlock();
  registry().lock.unlock();
}

// Initial-exec: one instruction instead of a call; the few bytes fit in the room glibc keeps for
// loaded libraries.
__attribute__((tls_model("initial-exec"))) thread_local ThreadCache* t_cache = nullptr;
thread_local bool t_ended =
    false;  // after the thread's destructors ran, nothing is cached any more

struct Reaper {
  ThreadCache* cache = nullptr;
  ~Reaper() {
    if (cache == nullptr) return;
    t_cache = nullptr;
    t_ended = true;
    {
      std::lock_guard<std::mutex> hold(registry().lock);
      (cache->previous != nullptr ? cache->previous->next : registry().first) = cache->next;
      if (cache->next != nullptr) cache->next->previous = cache->previous;
    }
    cache->empty();
    delete cache;
  }
};

thread_local Reaper t_reaper;

__attribute__((noinline)) ThreadCache* start_cache() {
  if (t_ended) return nullptr;
  ThreadCache* cache = new (std::nothrow) ThreadCache;
  if (cache == nullptr) return nullptr;
  cache->trims = g_trims.load(std::memory_order_relaxed);
  std::lock_guard<std::mutex> hold(registry().lock);
  cache->next = registry().first;
  if (cache->next != nullptr) cache->next->previous = cache;
  registry().first = cache;
  t_reaper.cache = cache;
  t_cache = cache;
  return cache;
}

inline ThreadCache* thread_cache() {
  ThreadCache* cache = t_cache;
  if (__builtin_expect(cache == nullptr, 0)) return start_cache();
  if (__builtin_expect(cache->trims != g_trims.load(std::memory_order_relaxed), 0)) cache->empty();
  return cache;
}

uint64_t release_list(Header* list) {
  uint64_t bytes = 0;
  while (list != nullptr) {
    Header* next = list->next;
    bytes += list->capacity;
    system_release(list);
    list = next;
  }
  return bytes;
}

void* allocate_large(SizeClass size) {
  if (size.index - kSmallClasses >= kLargeClasses) return nullptr;
  Store& shared = store();
  {
    std::lock_guard<std::mutex> hold(shared.lock);
    Header*& head = shared.idle[size.index - kSmallClasses];
    if (Header* header = head) {
      head = header->next;
      shared.forget(header);
      return block_of(header);
    }
  }
  Header* header = system_allocate(size);
  return header == nullptr ? nullptr : block_of(header);
}

void release_large(Header* header) {
  Store& shared = store();
  Header* out = header;
  if (header->capacity <= shared.limit) {
    std::lock_guard<std::mutex> hold(shared.lock);
    shared.keep(header);
    out = shared.shrink(shared.limit);
  } else {
    header->next = nullptr;
  }
  release_list(out);
}

}  // namespace

void* allocate(size_t bytes) noexcept {
  if (__builtin_expect(bytes > (size_t{1} << 46), 0)) return nullptr;
  const SizeClass size = classify(bytes);
  if (size.capacity > kSmall) return allocate_large(size);
  if (ThreadCache* cache = thread_cache()) {
    if (Header* header = cache->idle[size.index]) {
      cache->idle[size.index] = header->next;
      cache->add(-static_cast<int64_t>(header->capacity));
      return block_of(header);
    }
  }
  Header* header = system_allocate(size);
  return header == nullptr ? nullptr : block_of(header);
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  Header* header = header_of(block);
  if (header->capacity > kSmall) return release_large(header);
  ThreadCache* cache = thread_cache();
  const uint64_t limit = kThreadLimit - header->capacity;
  if (cache == nullptr || cache->retained.load(std::memory_order_relaxed) > limit) {
    system_release(header);
    return;
  }
  header->next = cache->idle[header->size_class];
  cache->idle[header->size_class] = header;
  cache->add(static_cast<int64_t>(header->capacity));
}

void* reallocate(void* block, size_t bytes) noexcept {
  if (block == nullptr) return allocate(bytes);
  const size_t capacity = header_of(block)->capacity;
  if (bytes <= capacity && bytes >= capacity / 2) return block;
  void* fresh = allocate(bytes);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, block, std::min(bytes, capacity));
  release(block);
  return fresh;
}

Stats stats() noexcept {
  Stats out{};
  {
    std::lock_guard<std::mutex> hold(registry().lock);
    for (ThreadCache* cache = registry().first; cache != nullptr; cache = cache->next) {
      out.retained += cache->retained.load(std::memory_order_relaxed);
    }
  }
  std::lock_guard<std::mutex> hold(store().lock);
  out.retained += store().retained;
  out.limit = store().limit;
  out.system_allocations = g_allocations.load(std::memory_order_relaxed);
  out.system_releases = g_releases.load(std::memory_order_relaxed);
  return out;
}

uint64_t trim() noexcept {
  g_trims.fetch_add(1, std::memory_order_relaxed);
  uint64_t bytes = t_cache == nullptr ? 0 : t_cache->empty();
  Header* out = nullptr;
  {
    std::lock_guard<std::mutex> hold(store().lock);
    out = store().shrink(0);
  }
  return bytes + release_list(out);
}

}  // namespace jitops::memory
