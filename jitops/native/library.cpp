// Library: machine code mapped from verified bytes, so that what was checked is what runs.
#include "objects.h"
#include "thread_pool.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace jitops {

PyTypeObject* g_library_type;

namespace {

// glibc recognises a loaded library by the text of its path, and descriptors' numbers are used
// again: spell each path differently, with "//" and "/." for the bits of a counter.
std::string unique_path(int fd) {
  static std::atomic<uint64_t> counter{1};
  std::string path = "/proc/self/fd";
  for (uint64_t n = counter.fetch_add(1); n != 0; n >>= 1) path += (n & 1) != 0 ? "/." : "//";
  return path + "/" + std::to_string(fd);
}

bool write_all(int fd, const char* data, Py_ssize_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, data, static_cast<size_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= n;
  }
  return true;
}

// A descriptor that holds the image, or -1 with errno.
int image_file(const Py_buffer& image) {
  const int fd = memfd_create("jitops", MFD_CLOEXEC);
  if (fd < 0) return -1;
  if (write_all(fd, static_cast<const char*>(image.buf), image.len)) return fd;
  const int code = errno;
  close(fd);
  errno = code;
  return -1;
}

// The descriptor's number will be used again, and debuggers and crash reporters open libraries by
// the path that the loader remembers: put a name there that no file has, of the same length.
void forget_path(void* handle) {
  constexpr char kPath[] = "/proc/self/fd", kName[] = "/memfd:jitops";
  static_assert(sizeof kPath == sizeof kName);
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr && map->l_name != nullptr &&
      std::strncmp(map->l_name, kPath, sizeof kPath - 1) == 0) {
    std::memcpy(map->l_name, kName, sizeof kName - 1);
  }
}

void* open_image(const Py_buffer& image) {
  const int fd = image_file(image);
  if (fd < 0) {
    PyErr_Format(PyExc_ImportError, "cannot hold a kernel library in memory: %s",
                 std::strerror(errno));
    return nullptr;
  }
  void* handle = dlopen(unique_path(fd).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    PyErr_Format(PyExc_ImportError, "cannot load a kernel library of %zd bytes: %s", image.len,
                 dlerror());
  } else {
    forget_path(handle);
  }
  close(fd);
  return handle;
}

PyObject* library_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"image", nullptr};
  Py_buffer image;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*", const_cast<char**>(names), &image)) {
    return nullptr;
  }
  void* handle = open_image(image);
  PyBuffer_Release(&image);
  if (handle == nullptr) return nullptr;
  Library* self = reinterpret_cast<Library*>(type->tp_alloc(type, 0));
  if (self == nullptr) return dlclose(handle), nullptr;
  self->handle = handle;
  if (void* launch = dlsym(handle, "__TVMBackendParallelLaunch")) {
    *static_cast<pool::Launch*>(launch) = pool::launch;
  }
  return reinterpret_cast<PyObject*>(self);
}

void library_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  void* handle = reinterpret_cast<Library*>(object)->handle;
  if (handle != nullptr) dlclose(handle);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* library_symbol(PyObject* object, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  if (text == nullptr) return nullptr;
  dlerror();
  void* found = dlsym(reinterpret_cast<Library*>(object)->handle, text);
  if (found == nullptr) {
    PyErr_Format(PyExc_ImportError, "the kernel library has no symbol '%s'", text);
    return nullptr;
  }
  return PyLong_FromVoidPtr(found);
}

PyMethodDef methods[] = {
    {"symbol", library_symbol, METH_O, "symbol(name) -> int\n\nAddress of an exported symbol."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(library_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(library_dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("Library(image)\n\nMachine code mapped from exactly these bytes; "
                                  "ImportError if they are no shared library.")},
    {0, nullptr}};

PyType_Spec type_spec = {"jitops._native.Library", sizeof(Library), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

bool add_library(PyObject* module) {
  g_library_type = add_type(module, type_spec);
  return g_library_type != nullptr;
}

}  // namespace jitops
