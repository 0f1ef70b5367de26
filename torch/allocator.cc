// The allocator of all CPU tensors: two heaps, small blocks apart so that none of them pins a hole between large ones, and a
// ledger. What is counted is the bytes asked for, rounded up to a multiple of 64, whatever the heaps hold: the same on every run.
#include "guard.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "heap.h"
#include "ledger.h"

using namespace ft;

namespace {

constexpr size_t smallest_large = size_t(64) << 10;

// What may be held beyond the peak of what was live: room for the holes between blocks, which a step of training fills to a tenth.
// Beyond, unused pages are given back before new ones are taken.
size_t bound(int64_t peak) { return static_cast<size_t>(peak) + static_cast<size_t>(peak) / 4 + (size_t(64) << 20); }

std::atomic<uint8_t> kind{0};

class CPUAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t n) override {
    void* p = n == 0 ? nullptr : take(n);
    return {p, p, &free, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free; }
  void copy_data(void* to, const void* from, size_t n) const override { default_copy_data(to, from, n); }

  std::mutex mutex;
  Ledger ledger;
  int64_t allocations = 0, fails_at = 0, limit = 0;
  size_t held_peak = 0;

  size_t held() const { return small_.held() + large_.held(); }
  void give_back(size_t n) {
    if (size_t given = large_.give_back(n); given < n) small_.give_back(n - given);
  }

 private:
  void* take(size_t asked);
  [[noreturn]] void fail(size_t asked, const char* why) const;
  static void free(void* p);

  Heap small_, large_;
};

// Never destroyed: tensors in static variables are freed after it would be.
CPUAllocator& cpu() {
  static auto* allocator = new CPUAllocator;
  return *allocator;
}

void* CPUAllocator::take(size_t asked) {
  std::lock_guard<std::mutex> lock(mutex);
  if (++allocations == fails_at) fail(asked, "a failure was asked for");
  if (asked > size_t(1) << 60) fail(asked, "no machine has that");
  size_t n = round_up(asked, unit), missing = 0;
  if (limit > 0 && ledger.live + static_cast<int64_t>(n) > limit) fail(asked, "the limit set for tensors");
  bool small = n < smallest_large;
  Heap& heap = small ? small_ : large_;
  size_t may_hold = bound(std::max(ledger.peak, ledger.live + static_cast<int64_t>(n)));
  Block* b = heap.take(n, may_hold - std::min(may_hold, held()), missing);
  if (b == nullptr && missing > 0) {  // beyond the bound, or the system refused
    give_back(held() + missing > may_hold ? held() + missing - may_hold : 0);
    b = heap.take(n, SIZE_MAX, missing);
  }
  if (b == nullptr) {
    give_back(SIZE_MAX);
    malloc_trim(0);
    b = heap.take(n, SIZE_MAX, missing);
  }
  if (b == nullptr) fail(asked, "the system gives no more");
  held_peak = std::max(held_peak, held());
  b->counted = n;
  b->kind = current_kind();
  b->small = small;
  ledger.add(b->kind, static_cast<int64_t>(n));
  return b->bytes();
}

void CPUAllocator::fail(size_t asked, const char* why) const {
  TORCH_CHECK_WITH(OutOfMemoryError, false, "the CPU has no memory for a tensor of ", asked, " bytes (", why, "): ", ledger.live,
                   " bytes are in use, ", held(), " are held", limit > 0 ? ", the limit is " + std::to_string(limit) : std::string());
}

void CPUAllocator::free(void* p) {
  if (p == nullptr) return;
  CPUAllocator& a = cpu();
  std::lock_guard<std::mutex> lock(a.mutex);
  Block* b = Block::of(p);
  a.ledger.remove(b->kind, static_cast<int64_t>(b->counted));
  (b->small ? a.small_ : a.large_).put(b);
}

// Early enough by construction: the binding's own objects are initialised after the shared libraries that it is linked with and
// before main, hence before Go can ask for a tensor. A tensor that a library made while it was loaded keeps the deleter of the
// allocator that it came from. No later SetCPUAllocator of a lower priority replaces this one.
[[maybe_unused]] const bool installed = [] {
  c10::SetCPUAllocator(&cpu(), 255);
  return true;
}();

}  // namespace

uint8_t ft::current_kind() { return kind.load(std::memory_order_relaxed); }

void ft::cpu_memory(ft_memory* out) {
  std::lock_guard<std::mutex> lock(cpu().mutex);
  out->allocated = cpu().ledger.live;
  out->allocated_peak = cpu().ledger.peak;
  out->reserved = static_cast<int64_t>(cpu().held());
  out->reserved_peak = static_cast<int64_t>(cpu().held_peak);
}

void ft::cpu_reset_peak() {
  std::lock_guard<std::mutex> lock(cpu().mutex);
  cpu().ledger.reset_peak();
  cpu().held_peak = cpu().held();
}

void ft::cpu_empty_cache() {
  std::lock_guard<std::mutex> lock(cpu().mutex);
  cpu().give_back(SIZE_MAX);
  malloc_trim(0);
}

const char* ft_count_as(int8_t now, int8_t* before) {
  FT_GUARD(watch_cards(); *before = static_cast<int8_t>(kind.exchange(static_cast<uint8_t>(now))))
}

const char* ft_memory_by_kind(ft_device d, ft_kinds* out) {
  FT_GUARD(if (device(d).is_cpu()) {
    std::lock_guard<std::mutex> lock(cpu().mutex);
    cpu().ledger.report(out);
  } else card_kinds(d, out))
}

const char* ft_set_memory_limit(ft_device d, int64_t bytes) {
  FT_GUARD(if (device(d).is_cpu()) {
    std::lock_guard<std::mutex> lock(cpu().mutex);
    cpu().limit = bytes;
  } else limit_card(d, bytes))
}

const char* ft_fail_allocation(int64_t n) {
  FT_GUARD(std::lock_guard<std::mutex> lock(cpu().mutex); cpu().fails_at = n > 0 ? cpu().allocations + n : 0)
}

const char* ft_allocations(int64_t* out) {
  FT_GUARD(std::lock_guard<std::mutex> lock(cpu().mutex); *out = cpu().allocations)
}
