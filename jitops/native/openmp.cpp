// Runtimes are looked for among the loaded libraries, again whenever that list has grown.
#include "openmp.h"

#include "waiting.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <numeric>

namespace jitops::openmp {
namespace {

constexpr int kMaxRuntimes = 8;
constexpr const char* kNames[] = {"libgomp", "libomp", "libiomp5"};

struct Found {
  // Entries below `count` are complete and never change or go; written under `searching`.
  Runtime* runtimes[kMaxRuntimes] = {};
  std::atomic<int> count{0};
  std::atomic<uint64_t> checked{0};  // ticks of the latest look at the list of libraries; a hint
  unsigned long long additions = 0;  // libraries loaded ever, as of that look; under `searching`
  std::mutex searching;              // try_lock only: whoever finds it taken goes on without
};

// Never destroyed: threads may launch regions while the process ends.
Found& found() {
  static Found* const all = new Found;
  return *all;
}

bool is_runtime(const char* path) {
  const char* slash = std::strrchr(path, '/');
  const char* file = slash == nullptr ? path : slash + 1;
  for (const char* name : kNames) {
    const size_t length = std::strlen(name);
    if (std::strncmp(file, name, length) == 0 && (file[length] == '.' || file[length] == '-')) {
      return true;
    }
  }
  return false;
}

int collect(dl_phdr_info* info, size_t, void* data) {
  if (info->dlpi_name == nullptr || !is_runtime(info->dlpi_name)) return 0;
  Runtime runtime{};
  runtime.path = info->dlpi_name;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_TLS) continue;
    runtime.tls_module = info->dlpi_tls_modid;
    runtime.tls_image = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
    runtime.tls_filled = header.p_filesz;
    runtime.tls_size = header.p_memsz;
  }
  static_cast<std::vector<Runtime>*>(data)->push_back(runtime);
  return 0;
}

int read_additions(dl_phdr_info* info, size_t, void* data) {
  *static_cast<unsigned long long*>(data) = info->dlpi_adds;
  return 1;
}

template <typename F>
bool find(void* library, const char* name, F* out) {
  void* symbol = dlsym(library, name);
  std::memcpy(out, &symbol, sizeof symbol);
  return symbol != nullptr;
}

struct TlsIndex {  // tls_index of the ELF thread-local storage ABI
  unsigned long module;
  unsigned long offset;
};
extern "C" void* __tls_get_addr(TlsIndex*);

const char* state_here(const Runtime& runtime) {
  TlsIndex index{runtime.tls_module, 0};
  return static_cast<const char*>(__tls_get_addr(&index));
}

void no_work(void*) {}

// On a thread of its own: which bytes of a thread's state change when it opens its first region.
void* try_region(void* data) {
  Runtime& runtime = *static_cast<Runtime*>(data);
  runtime.set_num_threads(1);  // this thread's setting; writes state that does not tell a team
  const char* state = state_here(runtime);
  const std::string before(state, runtime.tls_size);
  runtime.parallel(no_work, nullptr, 1, 0);
  for (size_t i = 0; i < runtime.tls_size; ++i) {
    if (state[i] != before[i]) runtime.telling.push_back(i);
  }
  return nullptr;
}

// The bytes of a thread's state that tell whether it has run parallel code. Importing torch sets a
// number of threads in the main thread: libgomp notes that there, and it is no use of the runtime.
// libomp writes when a thread first asks it anything; a trial would start it up for nothing.
void find_telling_bytes(Runtime* runtime) {
  pthread_t thread;
  if (runtime->tls_module == 0) return;
  const bool libgomp =
      runtime->path.find("libgomp", runtime->path.rfind('/') + 1) != std::string::npos;
  if (libgomp && pthread_create(&thread, nullptr, try_region, runtime) == 0) {
    pthread_join(thread, nullptr);
  }
  if (!runtime->telling.empty()) return;
  runtime->telling.resize(runtime->tls_size);
  std::iota(runtime->telling.begin(), runtime->telling.end(), size_t{0});
}

// Whether the calling thread has run parallel code on this runtime.
bool used_here(const Runtime& runtime) {
  if (runtime.tls_module == 0) return false;
  const char* state = state_here(runtime);
  for (const size_t i : runtime.telling) {
    if (state[i] != (i < runtime.tls_filled ? runtime.tls_image[i] : 0)) return true;
  }
  return false;
}

// Held open from now on, so that its functions and its threads' state stay.
bool hold(Runtime* runtime) {
  void* library = dlopen(runtime->path.c_str(), RTLD_NOLOAD | RTLD_LAZY);
  return library != nullptr && find(library, "GOMP_parallel", &runtime->parallel) &&
         find(library, "omp_get_thread_num", &runtime->thread_num) &&
         find(library, "omp_in_parallel", &runtime->in_parallel) &&
         find(library, "omp_set_num_threads", &runtime->set_num_threads);
}

bool known(const Found& all, const Runtime& candidate) {
  for (int i = 0; i < all.count.load(std::memory_order_relaxed); ++i) {
    if (all.runtimes[i]->path == candidate.path) return true;
  }
  return false;
}

void search(Found& all) {
  std::vector<Runtime> candidates;
  dl_iterate_phdr(collect, &candidates);
  for (Runtime& candidate : candidates) {
    const int count = all.count.load(std::memory_order_relaxed);
    if (count == kMaxRuntimes || known(all, candidate) || !hold(&candidate)) continue;
    find_telling_bytes(&candidate);
    all.runtimes[count] = new Runtime(candidate);
    all.count.store(count + 1, std::memory_order_release);
  }
}

// Asking whether the list has grown takes the linker's lock: once a moment is enough.
void refresh(Found& all) {
  const uint64_t now = pool::ticks();
  if (now - all.checked.load(std::memory_order_relaxed) < pool::kMoment) return;
  const std::unique_lock<std::mutex> mine(all.searching, std::try_to_lock);
  if (!mine.owns_lock()) return;
  all.checked.store(now, std::memory_order_relaxed);
  unsigned long long additions = 0;
  dl_iterate_phdr(read_additions, &additions);
  if (additions != all.additions) search(all);
  all.additions = additions;
}

}  // namespace

std::vector<const Runtime*> loaded() {
  Found& all = found();
  refresh(all);
  const int count = all.count.load(std::memory_order_acquire);
  return {all.runtimes, all.runtimes + count};
}

const Runtime* of_this_thread(bool any) {
  thread_local const Runtime* used = nullptr;  // once found, for good
  if (used != nullptr) return used;
  Found& all = found();
  refresh(all);
  const int count = all.count.load(std::memory_order_acquire);
  for (int i = 0; i < count; ++i) {
    if (used_here(*all.runtimes[i])) return used = all.runtimes[i];
  }
  return any && count > 0 ? all.runtimes[0] : nullptr;
}

}  // namespace jitops::openmp
