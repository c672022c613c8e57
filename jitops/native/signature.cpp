#include "signature.h"

#include <cstring>
#include <utility>

namespace jitops {
namespace {

// 1: alike, 0: different, -1: == raised. Runs Python code only for objects compared by value.
int objects_equal(const Entry& entry, const Call& call) {
  for (size_t i = 0; i < entry.objects.size(); ++i) {
    PyObject* known = entry.objects[i].object;
    PyObject* given = call.objects[i].object;
    if (known == given) continue;
    if (!entry.objects[i].by_value) return 0;
    const int same = PyObject_RichCompareBool(known, given, Py_EQ);
    if (same != 1) return same;
  }
  return 1;
}

inline bool words_equal(const Entry& entry, const Call& call) {
  const size_t n = call.words.size();
  if (entry.words.size() != n || entry.objects.size() != call.objects.size()) return false;
  const uint64_t* a = entry.words.data();
  const uint64_t* b = call.words.begin();
  for (size_t i = 0; i < n; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// Words of a signature with open ones.
bool open_words_equal(const Entry& entry, const Call& call) {
  const size_t n = call.words.size();
  if (entry.words.size() != n || entry.objects.size() != call.objects.size()) return false;
  const uint64_t* a = entry.words.data();
  const uint64_t* b = call.words.begin();
  size_t i = 0;
  for (const OpenWord& open : entry.open) {
    for (; i < open.word; ++i) {
      if (a[i] != b[i]) return false;
    }
    const int64_t size = static_cast<int64_t>(b[i++]);
    if (size < open.lo || size > open.hi || b[open.word] != b[open.first]) return false;
  }
  for (; i < n; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

inline bool same_words(const Entry& entry, const Call& call) {
  return __builtin_expect(entry.open.empty(), 1) ? words_equal(entry, call)
                                                 : open_words_equal(entry, call);
}

inline bool objects_identical(const Entry& entry, const Call& call) {
  for (size_t i = 0; i < entry.objects.size(); ++i) {
    if (entry.objects[i].object != call.objects[i].object) return false;
  }
  return true;
}

int matches(Entry* entry, Call& call) {
  if (!same_words(*entry, call)) return 0;
  if (call.objects.size() == 0) return 1;
  if (objects_identical(*entry, call)) return 1;
  call.hold();
  ++entry->holders;  // == may run code that clears the table
  const int same = objects_equal(*entry, call);
  entry->release();
  return same;
}

}  // namespace

// Multiply-fold, as in wyhash (Wang Yi, 2019): good mixing at one multiplication a word.
uint64_t Call::hash() const {
  uint64_t state = 0x9e3779b97f4a7c15ull;
  for (uint64_t word : words) {
    const unsigned __int128 product =
        static_cast<unsigned __int128>(state ^ word) * 0xa0761d6478bd642full;
    state = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    state += 0xe7037ed1a0b428dbull;
  }
  return state;
}

void Entry::release() {
  if (--holders != 0) return;
  std::vector<CallObject> gone = std::move(objects);
  PyObject* bound = binding;
  delete this;
  for (const CallObject& item : gone) Py_DECREF(item.object);
  Py_XDECREF(bound);
}

int Entry::visit(visitproc visit, void* arg) {
  for (const CallObject& item : objects) Py_VISIT(item.object);
  Py_VISIT(binding);
  return 0;
}

Entry* Table::lookup(Call& call, uint64_t hash, bool* failed) {
restart:
  if (slots_.empty()) return nullptr;
  const size_t mask = slots_.size() - 1;
  const uint64_t version = version_;
  for (size_t i = hash & mask; slots_[i] != nullptr; i = (i + 1) & mask) {
    Entry* entry = slots_[i];
    if (entry->hash != hash) continue;
    const int same = matches(entry, call);
    if (version_ != version) goto restart;  // == changed the table
    if (same == 1) return entry;
    if (same < 0) {
      *failed = true;
      return nullptr;
    }
  }
  return nullptr;
}

Entry* Table::lookup_open(Call& call, bool* failed) {
  for (size_t i = 0; i < open_.size();) {
    Entry* entry = open_[i];
    const uint64_t version = version_;
    const int same = matches(entry, call);
    if (version_ != version) {  // == changed the table
      i = 0;
      continue;
    }
    if (same == 1) return entry;
    if (same < 0) return *failed = true, nullptr;
    ++i;
  }
  return nullptr;
}

PyObject* Table::find(Call& call) {
  Entry* entry = last_;
  if (entry == nullptr || !same_words(*entry, call) || !objects_identical(*entry, call)) {
    bool failed = false;
    entry = lookup_open(call, &failed);
    if (entry == nullptr && !failed) entry = lookup(call, call.hash(), &failed);
    if (entry == nullptr) return nullptr;
    last_ = entry;
  }
  Py_INCREF(entry->binding);
  return entry->binding;
}

bool Table::insert(Call& call, PyObject* binding, std::vector<OpenWord> open) {
  const uint64_t hash = call.hash();
  bool failed = false;
  Entry* known = open.empty() ? lookup(call, hash, &failed) : lookup_open(call, &failed);
  if (known != nullptr) {
    Py_INCREF(binding);
    PyObject* old = known->binding;
    known->binding = binding;
    Py_DECREF(old);
    return true;
  }
  if (failed) return false;
  Entry* entry =
      new Entry{hash, {call.words.begin(), call.words.end()}, {}, binding, std::move(open)};
  Py_INCREF(binding);
  entry->objects.assign(call.objects.begin(), call.objects.end());
  for (const CallObject& item : entry->objects) Py_INCREF(item.object);
  ++version_;
  if (!entry->open.empty()) return open_.push_back(entry), true;
  if (2 * (count_ + 1) > slots_.size()) grow();
  place(entry);
  ++count_;
  return true;
}

void Table::place(Entry* entry) {
  const size_t mask = slots_.size() - 1;
  size_t i = entry->hash & mask;
  while (slots_[i] != nullptr) i = (i + 1) & mask;
  slots_[i] = entry;
}

void Table::grow() {
  std::vector<Entry*> old = std::move(slots_);
  slots_.assign(old.empty() ? 16 : 2 * old.size(), nullptr);
  for (Entry* entry : old) {
    if (entry != nullptr) place(entry);
  }
}

void Table::clear() {
  std::vector<Entry*> old = std::move(slots_);
  old.insert(old.end(), open_.begin(), open_.end());
  slots_.clear();
  open_.clear();
  last_ = nullptr;
  count_ = 0;
  ++version_;
  for (Entry* entry : old) {
    if (entry != nullptr) entry->release();
  }
}

int Table::visit(visitproc visit, void* arg) {
  for (const std::vector<Entry*>* entries : {&slots_, &open_}) {
    for (Entry* entry : *entries) {
      if (entry == nullptr) continue;
      if (const int stop = entry->visit(visit, arg)) return stop;
    }
  }
  return 0;
}

}  // namespace jitops
