// The module jitops._native.
#define JITOPS_IMPORTS_NUMPY
#include "memory.h"
#include "objects.h"
#include "openmp.h"
#include "thread_pool.h"

#include <cstring>

namespace jitops {

PyTypeObject* add_type(PyObject* module, PyType_Spec& spec) {
  PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
  if (type == nullptr || PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type)) != 0) {
    return nullptr;
  }
  return reinterpret_cast<PyTypeObject*>(type);
}

namespace {

PyObject* py_detect_cpu(PyObject*, PyObject*) { return detect_cpu(); }

PyObject* py_detect_budget(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"root", nullptr};
  const char* root = "/";
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|s", const_cast<char**>(names), &root)) {
    return nullptr;
  }
  const pool::Budget budget = pool::budget(root);
  const Ref quota(budget.quota > 0 ? PyFloat_FromDouble(budget.quota)
                                   : (Py_INCREF(Py_None), Py_None));
  if (!quota) return nullptr;
  return Py_BuildValue("{sisOsi}", "affinity", budget.affinity, "quota", quota.get(), "threads",
                       budget.threads);
}

// A count of threads, 0 for "no limit of mine".
bool read_count(PyObject* object, int* out) {
  const long value = object == Py_None ? 0 : PyLong_AsLong(object);
  if (value == -1 && PyErr_Occurred()) return false;
  if (value < 0 || value > 1 << 20 || (object != Py_None && value == 0)) {
    PyErr_Format(PyExc_ValueError, "the number of threads must be at least 1, found %R", object);
    return false;
  }
  *out = static_cast<int>(value);
  return true;
}

PyObject* set_threads(PyObject*, PyObject* count) {
  int value = 0;
  if (!read_count(count, &value)) return nullptr;
  pool::set_threads(value);
  Py_RETURN_NONE;
}

PyObject* get_threads(PyObject*, PyObject*) { return PyLong_FromLong(pool::get_threads()); }

PyObject* set_thread_limit(PyObject*, PyObject* count) {
  int value = 0;
  if (!read_count(count, &value)) return nullptr;
  const int before = pool::set_thread_limit(value);
  if (before == 0) Py_RETURN_NONE;
  return PyLong_FromLong(before);
}

PyObject* pool_stats(PyObject*, PyObject*) {
  const pool::Stats stats = pool::stats();
  return Py_BuildValue("{sisisKsKsK}", "threads", stats.threads, "workers", stats.workers,
                       "launches", static_cast<unsigned long long>(stats.launches), "joined",
                       static_cast<unsigned long long>(stats.joined), "alone",
                       static_cast<unsigned long long>(stats.alone));
}

constexpr const char* kModes[] = {"auto", "pool", "openmp",
                                  "serial"};  // in the order of pool::Mode

PyObject* set_threading(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"mode", "passive", nullptr};
  const char* name = nullptr;
  int passive = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|p", const_cast<char**>(names), &name,
                                   &passive)) {
    return nullptr;
  }
  for (int i = 0; i < 4; ++i) {
    if (std::strcmp(name, kModes[i]) != 0) continue;
    pool::set_mode(static_cast<pool::Mode>(i), passive != 0);
    Py_RETURN_NONE;
  }
  PyErr_Format(PyExc_ValueError, "threading is auto, pool, openmp or serial, found '%s'", name);
  return nullptr;
}

PyObject* threading(PyObject*, PyObject*) {
  const Ref runtimes(PyList_New(0));
  for (const openmp::Runtime* runtime : openmp::loaded()) {
    const Ref path(PyUnicode_DecodeFSDefault(runtime->path.c_str()));
    if (!runtimes || !path || PyList_Append(runtimes.get(), path.get()) != 0) return nullptr;
  }
  const std::string team = pool::team_of_this_thread();
  const Ref joins(team.empty() ? (Py_INCREF(Py_None), Py_None)
                               : PyUnicode_DecodeFSDefault(team.c_str()));
  if (!runtimes || !joins) return nullptr;
  return Py_BuildValue("{sssOsO}", "mode", kModes[static_cast<int>(pool::get_mode())], "openmp",
                       runtimes.get(), "joins", joins.get());
}

PyObject* memory_stats(PyObject*, PyObject*) {
  using Wide = unsigned long long;
  const memory::Stats stats = memory::stats();
  return Py_BuildValue("{sKsKsKsK}", "retained_bytes", static_cast<Wide>(stats.retained),
                       "limit_bytes", static_cast<Wide>(stats.limit), "system_allocations",
                       static_cast<Wide>(stats.system_allocations), "system_releases",
                       static_cast<Wide>(stats.system_releases));
}

PyObject* trim_memory(PyObject*, PyObject*) { return PyLong_FromUnsignedLongLong(memory::trim()); }

PyMethodDef functions[] = {
    {"detect_cpu", py_detect_cpu, METH_NOARGS,
     "detect_cpu() -> dict\n\nWhat this machine can run."},
    {"detect_budget", method(py_detect_budget), METH_VARARGS | METH_KEYWORDS,
     "detect_budget(root='/') -> dict\n\nProcessors granted by affinity mask and cgroup quota."},
    {"set_threads", set_threads, METH_O,
     "set_threads(n)\n\nThreads of the process that run kernels at once; None: what is granted."},
    {"get_threads", get_threads, METH_NOARGS,
     "get_threads() -> int\n\nThreads a kernel called from this thread may use."},
    {"set_thread_limit", set_thread_limit, METH_O,
     "set_thread_limit(n)\n\nLimit kernels called from this thread (None: no limit); returns the "
     "limit before."},
    {"set_threading", method(set_threading), METH_VARARGS | METH_KEYWORDS,
     "set_threading(mode, passive=False)\n\nWho runs parallel kernels: auto, pool, openmp, serial. "
     "passive: the host's OpenMP threads sleep between regions."},
    {"threading", threading, METH_NOARGS,
     "threading() -> dict\n\nThe mode, the OpenMP runtimes loaded, and the one this thread joins."},
    {"pool_stats", pool_stats, METH_NOARGS, "pool_stats() -> dict\n\nThe thread pool's state."},
    {"memory_stats", memory_stats, METH_NOARGS,
     "memory_stats() -> dict\n\nThe result memory's state."},
    {"trim_memory", trim_memory, METH_NOARGS,
     "trim_memory() -> int\n\nGive idle result memory back to the system; the bytes released."},
    {nullptr, nullptr, 0, nullptr}};

int fill(PyObject* module) {
  import_array1(-1);
  const bool ok = prepare_results(module) && add_library(module) && add_program(module) &&
                  add_binding(module) && add_dispatcher(module);
  if (!ok) return -1;
  const Ref launch(PyLong_FromVoidPtr(reinterpret_cast<void*>(pool::launch)));
  return launch ? PyModule_AddObjectRef(module, "parallel_launch", launch.get()) : -1;
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "jitops._native",
                          "Dispatch, thread pool, result memory and library loading.",
                          -1,
                          functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace
}  // namespace jitops

// For callers from C, and the mark by which threadpoolctl's controller knows this library.
extern "C" __attribute__((visibility("default"))) int jitops_parallel_launch(
    jitops::pool::Task task, void* data, int num_task) {
  return jitops::pool::launch(task, data, num_task);
}

PyMODINIT_FUNC PyInit__native(void) {
  PyObject* module = PyModule_Create(&jitops::definition);
  if (module == nullptr || jitops::fill(module) == 0) return module;
  Py_DECREF(module);
  return nullptr;
}
