// What this machine can run, in LLVM's words: CPUID and XGETBV on x86-64, the kernel's HWCAP bits
// on aarch64.
#include "numpy_api.h"
#include "objects.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace jitops {
namespace {

struct Cpu {
  std::string arch, name, brand;
  std::vector<const char*> features;
  int vector_bits = 128;

  bool has(const char* feature) const {
    for (const char* known : features) {
      if (std::strcmp(known, feature) == 0) return true;
    }
    return false;
  }
};

#if defined(__x86_64__)

enum Register { EAX, EBX, ECX, EDX };
enum State { Always, Avx, Avx512, Amx };  // register state that the operating system must save

struct Feature {
  const char* name;  // LLVM's
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  State state;
};

// Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E; names from LLVM's X86.td.
constexpr Feature kFeatures[] = {
    {"cx8", 1, 0, EDX, 8, Always},
    {"cmov", 1, 0, EDX, 15, Always},
    {"mmx", 1, 0, EDX, 23, Always},
    {"fxsr", 1, 0, EDX, 24, Always},
    {"sse", 1, 0, EDX, 25, Always},
    {"sse2", 1, 0, EDX, 26, Always},
    {"sse3", 1, 0, ECX, 0, Always},
    {"pclmul", 1, 0, ECX, 1, Always},
    {"ssse3", 1, 0, ECX, 9, Always},
    {"fma", 1, 0, ECX, 12, Avx},
    {"cx16", 1, 0, ECX, 13, Always},
    {"sse4.1", 1, 0, ECX, 19, Always},
    {"sse4.2", 1, 0, ECX, 20, Always},
    {"movbe", 1, 0, ECX, 22, Always},
    {"popcnt", 1, 0, ECX, 23, Always},
    {"aes", 1, 0, ECX, 25, Always},
    {"xsave", 1, 0, ECX, 26, Always},
    {"avx", 1, 0, ECX, 28, Avx},
    {"f16c", 1, 0, ECX, 29, Avx},
    {"rdrnd", 1, 0, ECX, 30, Always},
    {"fsgsbase", 7, 0, EBX, 0, Always},
    {"bmi", 7, 0, EBX, 3, Always},
    {"avx2", 7, 0, EBX, 5, Avx},
    {"bmi2", 7, 0, EBX, 8, Always},
    {"avx512f", 7, 0, EBX, 16, Avx512},
    {"avx512dq", 7, 0, EBX, 17, Avx512},
    {"rdseed", 7, 0, EBX, 18, Always},
    {"adx", 7, 0, EBX, 19, Always},
    {"avx512ifma", 7, 0, EBX, 21, Avx512},
    {"clflushopt", 7, 0, EBX, 23, Always},
    {"clwb", 7, 0, EBX, 24, Always},
    {"avx512cd", 7, 0, EBX, 28, Avx512},
    {"sha", 7, 0, EBX, 29, Always},
    {"avx512bw", 7, 0, EBX, 30, Avx512},
    {"avx512vl", 7, 0, EBX, 31, Avx512},
    {"avx512vbmi", 7, 0, ECX, 1, Avx512},
    {"avx512vbmi2", 7, 0, ECX, 6, Avx512},
    {"gfni", 7, 0, ECX, 8, Always},
    {"vaes", 7, 0, ECX, 9, Avx},
    {"vpclmulqdq", 7, 0, ECX, 10, Avx},
    {"avx512vnni", 7, 0, ECX, 11, Avx512},
    {"avx512bitalg", 7, 0, ECX, 12, Avx512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Avx512},
    {"rdpid", 7, 0, ECX, 22, Always},
    {"movdiri", 7, 0, ECX, 27, Always},
    {"movdir64b", 7, 0, ECX, 28, Always},
    {"avx512vp2intersect", 7, 0, EDX, 8, Avx512},
    {"serialize", 7, 0, EDX, 14, Always},
    {"amx-bf16", 7, 0, EDX, 22, Amx},
    {"avx512fp16", 7, 0, EDX, 23, Avx512},
    {"amx-tile", 7, 0, EDX, 24, Amx},
    {"amx-int8", 7, 0, EDX, 25, Amx},
    {"avxvnni", 7, 1, EAX, 4, Avx},
    {"avx512bf16", 7, 1, EAX, 5, Avx512},
    {"avxifma", 7, 1, EAX, 23, Avx},
    {"avxvnniint8", 7, 1, EDX, 4, Avx},
    {"avxneconvert", 7, 1, EDX, 5, Avx},
    {"xsaveopt", 13, 1, EAX, 0, Always},
    {"xsavec", 13, 1, EAX, 1, Always},
    {"xsaves", 13, 1, EAX, 3, Always},
    {"sahf", 0x80000001, 0, ECX, 0, Always},
    {"lzcnt", 0x80000001, 0, ECX, 5, Always},
    {"sse4a", 0x80000001, 0, ECX, 6, Always},
    {"prfchw", 0x80000001, 0, ECX, 8, Always},
    {"xop", 0x80000001, 0, ECX, 11, Avx},
    {"fma4", 0x80000001, 0, ECX, 16, Avx},
    {"tbm", 0x80000001, 0, ECX, 21, Always},
    {"mwaitx", 0x80000001, 0, ECX, 29, Always},
    {"64bit", 0x80000001, 0, EDX, 29, Always},
    {"clzero", 0x80000008, 0, EBX, 0, Always},
    {"wbnoinvd", 0x80000008, 0, EBX, 9, Always},
};

uint64_t saved_states() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 1) == 0) return 0;  // no OSXSAVE
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

bool usable(State state, uint64_t saved) {
  constexpr uint64_t kMasks[] = {0, 0x6, 0xe6, 0x60006};
  return (saved & kMasks[state]) == kMasks[state];
}

void read_features(Cpu* cpu) {
  const uint64_t saved = saved_states();
  for (const Feature& feature : kFeatures) {
    uint32_t words[4];
    if (__get_cpuid_count(feature.leaf, feature.subleaf, &words[EAX], &words[EBX], &words[ECX],
                          &words[EDX]) == 0) {
      continue;
    }
    if ((words[feature.reg] >> feature.bit & 1) != 0 && usable(feature.state, saved)) {
      cpu->features.push_back(feature.name);
    }
  }
}

struct Model {
  const char* vendor;
  uint32_t family, first, last;  // models, inclusive
  const char* name;
};

// From LLVM's Host.cpp.
constexpr Model kModels[] = {
    {"AuthenticAMD", 0x17, 0x00, 0x2f, "znver1"},
    {"AuthenticAMD", 0x17, 0x30, 0xff, "znver2"},
    {"AuthenticAMD", 0x19, 0x00, 0x0f, "znver3"},
    {"AuthenticAMD", 0x19, 0x20, 0x5f, "znver3"},
    {"AuthenticAMD", 0x19, 0x10, 0x1f, "znver4"},
    {"AuthenticAMD", 0x19, 0x60, 0xaf, "znver4"},
    {"AuthenticAMD", 0x1a, 0x00, 0x7f, "znver5"},
    {"GenuineIntel", 6, 0x2a, 0x2a, "sandybridge"},
    {"GenuineIntel", 6, 0x2d, 0x2d, "sandybridge"},
    {"GenuineIntel", 6, 0x3a, 0x3a, "ivybridge"},
    {"GenuineIntel", 6, 0x3e, 0x3e, "ivybridge"},
    {"GenuineIntel", 6, 0x3c, 0x3c, "haswell"},
    {"GenuineIntel", 6, 0x3f, 0x3f, "haswell"},
    {"GenuineIntel", 6, 0x45, 0x46, "haswell"},
    {"GenuineIntel", 6, 0x3d, 0x3d, "broadwell"},
    {"GenuineIntel", 6, 0x47, 0x47, "broadwell"},
    {"GenuineIntel", 6, 0x4f, 0x4f, "broadwell"},
    {"GenuineIntel", 6, 0x56, 0x56, "broadwell"},
    {"GenuineIntel", 6, 0x4e, 0x4e, "skylake"},
    {"GenuineIntel", 6, 0x5e, 0x5e, "skylake"},
    {"GenuineIntel", 6, 0x8e, 0x8e, "skylake"},
    {"GenuineIntel", 6, 0x9e, 0x9e, "skylake"},
    {"GenuineIntel", 6, 0xa5, 0xa6, "skylake"},
    {"GenuineIntel", 6, 0x6a, 0x6a, "icelake-server"},
    {"GenuineIntel", 6, 0x6c, 0x6c, "icelake-server"},
    {"GenuineIntel", 6, 0x7d, 0x7e, "icelake-client"},
    {"GenuineIntel", 6, 0x8c, 0x8d, "tigerlake"},
    {"GenuineIntel", 6, 0xa7, 0xa7, "rocketlake"},
    {"GenuineIntel", 6, 0x97, 0x97, "alderlake"},
    {"GenuineIntel", 6, 0x9a, 0x9a, "alderlake"},
    {"GenuineIntel", 6, 0xb7, 0xb7, "raptorlake"},
    {"GenuineIntel", 6, 0xba, 0xba, "raptorlake"},
    {"GenuineIntel", 6, 0xbf, 0xbf, "raptorlake"},
    {"GenuineIntel", 6, 0xaa, 0xaa, "meteorlake"},
    {"GenuineIntel", 6, 0x8f, 0x8f, "sapphirerapids"},
    {"GenuineIntel", 6, 0xcf, 0xcf, "emeraldrapids"},
    {"GenuineIntel", 6, 0xad, 0xae, "graniterapids"},
    {"GenuineIntel", 6, 0xaf, 0xaf, "sierraforest"},
    {"GenuineIntel", 6, 0xbd, 0xbd, "lunarlake"},
};

const char* level_name(const Cpu& cpu) {
  if (cpu.has("avx512f") && cpu.has("avx512bw") && cpu.has("avx512vl")) return "x86-64-v4";
  if (cpu.has("avx2") && cpu.has("fma") && cpu.has("bmi2")) return "x86-64-v3";
  if (cpu.has("sse4.2") && cpu.has("popcnt")) return "x86-64-v2";
  return "x86-64";
}

const char* model_name(const Cpu& cpu) {
  uint32_t a = 0, words[3], b, c, d;
  __get_cpuid(0, &a, &words[0], &words[2], &words[1]);
  const std::string vendor(reinterpret_cast<const char*>(words), 12);
  __get_cpuid(1, &a, &b, &c, &d);
  uint32_t family = a >> 8 & 0xf;
  uint32_t model = a >> 4 & 0xf;
  if (family == 6 || family == 15) model |= a >> 12 & 0xf0;
  if (family == 15) family += a >> 20 & 0xff;
  if (vendor == "GenuineIntel" && family == 6 && model == 0x55) {
    return cpu.has("avx512bf16")   ? "cooperlake"
           : cpu.has("avx512vnni") ? "cascadelake"
                                   : "skylake-avx512";
  }
  for (const Model& row : kModels) {
    if (vendor == row.vendor && family == row.family && model >= row.first && model <= row.last) {
      return row.name;
    }
  }
  return level_name(cpu);
}

std::string brand_text() {
  uint32_t words[12] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    uint32_t* w = words + 4 * i;
    if (!__get_cpuid(0x80000002 + i, &w[0], &w[1], &w[2], &w[3])) return "x86-64 processor";
  }
  std::string text(reinterpret_cast<const char*>(words), sizeof words);
  text.resize(std::strlen(text.c_str()));
  const size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? text : text.substr(first);
}

Cpu read_cpu() {
  Cpu cpu;
  cpu.arch = "x86_64";
  read_features(&cpu);
  cpu.name = model_name(cpu);
  cpu.brand = brand_text();
  cpu.vector_bits = cpu.has("avx512f") ? 512 : cpu.has("avx") ? 256 : 128;
  return cpu;
}

#elif defined(__aarch64__)

struct Feature {
  const char* name;  // LLVM's
  int word;          // 0: AT_HWCAP, 1: AT_HWCAP2
  int bit;
};

// Linux Documentation/arch/arm64/elf_hwcaps.rst; names from LLVM's AArch64Features.td.
constexpr Feature kFeatures[] = {
    {"fp-armv8", 0, 0}, {"neon", 0, 1},       {"aes", 0, 3},       {"sha2", 0, 6},
    {"crc", 0, 7},      {"lse", 0, 8},        {"fullfp16", 0, 10}, {"rdm", 0, 12},
    {"jsconv", 0, 13},  {"complxnum", 0, 14}, {"rcpc", 0, 15},     {"ccpp", 0, 16},
    {"sha3", 0, 17},    {"sm4", 0, 18},       {"dotprod", 0, 20},  {"sve", 0, 22},
    {"fp16fml", 0, 23}, {"dit", 0, 24},       {"sve2", 1, 1},      {"i8mm", 1, 13},
    {"bf16", 1, 14},    {"rand", 1, 16},      {"bti", 1, 17},
};

struct Model {
  unsigned implementer, part;
  const char* name;
};

constexpr Model kModels[] = {
    {0x41, 0xd03, "cortex-a53"},  {0x41, 0xd05, "cortex-a55"},  {0x41, 0xd07, "cortex-a57"},
    {0x41, 0xd08, "cortex-a72"},  {0x41, 0xd09, "cortex-a73"},  {0x41, 0xd0a, "cortex-a75"},
    {0x41, 0xd0b, "cortex-a76"},  {0x41, 0xd0c, "neoverse-n1"}, {0x41, 0xd40, "neoverse-v1"},
    {0x41, 0xd41, "cortex-a78"},  {0x41, 0xd44, "cortex-x1"},   {0x41, 0xd49, "neoverse-n2"},
    {0x41, 0xd4f, "neoverse-v2"}, {0x61, 0x022, "apple-m1"},    {0x61, 0x023, "apple-m1"},
    {0x61, 0x032, "apple-m2"},    {0x61, 0x033, "apple-m2"},    {0xc0, 0xac3, "ampere1"},
};

const char* model_name() {
  std::FILE* file = std::fopen("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "r");
  unsigned long long midr = 0;
  const bool known = file != nullptr && std::fscanf(file, "%llx", &midr) == 1;
  if (file != nullptr) std::fclose(file);
  for (const Model& row : kModels) {
    if (known && row.implementer == (midr >> 24 & 0xff) && row.part == (midr >> 4 & 0xfff)) {
      return row.name;
    }
  }
  return "generic";
}

Cpu read_cpu() {
  Cpu cpu;
  cpu.arch = "aarch64";
  const unsigned long words[] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
  for (const Feature& feature : kFeatures) {
    if ((words[feature.word] >> feature.bit & 1) != 0) cpu.features.push_back(feature.name);
  }
  cpu.name = model_name();
  cpu.brand = cpu.name;
  return cpu;
}

#else
#error "jitops runs on x86-64 and aarch64"
#endif

void add_cache(PyObject* dict, const char* name, int key) {
  const long bytes = sysconf(key);
  if (bytes <= 0) return;
  const Ref value(PyLong_FromLong(bytes));
  if (value) PyDict_SetItemString(dict, name, value.get());
}

}  // namespace

PyObject* detect_cpu() {
  const Cpu cpu = read_cpu();
  const Ref features(PyList_New(0));
  if (!features) return nullptr;
  for (const char* name : cpu.features) {
    const Ref text(PyUnicode_FromString(name));
    if (!text || PyList_Append(features.get(), text.get()) != 0) return nullptr;
  }
  Ref dict(Py_BuildValue("{sssOsssssi}", "arch", cpu.arch.c_str(), "features", features.get(),
                         "name", cpu.name.c_str(), "brand", cpu.brand.c_str(), "vector_bits",
                         cpu.vector_bits));
  if (!dict) return nullptr;
  add_cache(dict.get(), "l1d", _SC_LEVEL1_DCACHE_SIZE);
  add_cache(dict.get(), "l2", _SC_LEVEL2_CACHE_SIZE);
  add_cache(dict.get(), "l3", _SC_LEVEL3_CACHE_SIZE);
  return dict.release();
}

}  // namespace jitops
