// The processors this process may use: affinity mask and cgroup quota.
#include "thread_pool.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace jitops::pool {
namespace {

int affinity_count() {
  for (int bits = 1024; bits <= (1 << 20); bits *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(bits));
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(bits));
    const bool known = sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (known) return std::max(count, 1);
  }
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

bool read_text(const std::string& path, std::string* text) {
  std::ifstream file(path);
  if (!file) return false;
  std::ostringstream all;
  all << file.rdbuf();
  *text = all.str();
  return true;
}

// Quota of one directory, in processors; 0 for none. v2: "max 100000" or "150000 100000" in
// cpu.max; v1: two files.
double quota_v2(const std::string& directory) {
  std::string text;
  if (!read_text(directory + "/cpu.max", &text)) return 0;
  double quota = 0, period = 0;
  std::istringstream in(text);
  return in >> quota >> period && quota > 0 && period > 0 ? quota / period : 0;
}

double quota_v1(const std::string& directory) {
  std::string quota, period;
  if (!read_text(directory + "/cpu.cfs_quota_us", &quota)) return 0;
  if (!read_text(directory + "/cpu.cfs_period_us", &period)) return 0;
  const double q = std::atof(quota.c_str()), p = std::atof(period.c_str());
  return q > 0 && p > 0 ? q / p : 0;
}

double tighter(double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

// The tightest quota from `path` up to the mount. Inside a container the path may be the host's and
// not exist: the mount itself is then the container's group.
double walk(const std::string& mount, std::string path, double (*quota)(const std::string&)) {
  double tightest = 0;
  while (!path.empty() && path != "/") {
    tightest = tighter(tightest, quota(mount + path));
    path.resize(path.find_last_of('/'));
  }
  return tighter(tightest, quota(mount));
}

bool names_cpu(const std::string& controllers) {
  std::istringstream in(controllers);
  for (std::string name; std::getline(in, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

// One line of /proc/self/cgroup: "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1).
double quota_of_line(const std::string& root, const std::string& line) {
  const size_t first = line.find(':');
  const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) return 0;
  const std::string controllers = line.substr(first + 1, second - first - 1);
  const std::string path = line.substr(second + 1);
  const std::string base = root + "/sys/fs/cgroup";
  if (controllers.empty()) {
    return tighter(walk(base, path, quota_v2), walk(base + "/unified", path, quota_v2));
  }
  if (!names_cpu(controllers)) return 0;
  double tightest = 0;
  for (const std::string& mount :
       {base + "/" + controllers, base + "/cpu", base + "/cpu,cpuacct"}) {
    tightest = tighter(tightest, walk(mount, path, quota_v1));
  }
  return tightest;
}

double cgroup_quota(const std::string& root) {
  std::string text;
  if (!read_text(root + "/proc/self/cgroup", &text)) return 0;
  double tightest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    tightest = tighter(tightest, quota_of_line(root, line));
  }
  return tightest;
}

}  // namespace

// A quota of 2.5 processors gives 2 threads: a third one would be stopped for most of each period.
Budget budget(const char* root) {
  std::string prefix = root;
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  Budget out{affinity_count(), cgroup_quota(prefix), 1};
  out.threads = out.affinity;
  if (out.quota > 0) {
    const double whole = std::floor(std::min(out.quota, 1e6));
    out.threads = std::clamp(static_cast<int>(whole), 1, out.affinity);
  }
  return out;
}

}  // namespace jitops::pool
