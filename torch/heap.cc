// How blocks are found, split and joined, and pages taken and given back.
#include "guard.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>

#include "heap.h"

namespace ft {

namespace {

// Addresses cost nothing until pages are behind them: more than any machine's memory, so that the heap never needs a second range.
constexpr size_t most_addresses = size_t(1) << 42;
constexpr size_t fewest_addresses = size_t(1) << 28;

// In a bin of several sizes: enough to find a good fit, few enough that thousands of blocks of nearly one size do no harm.
constexpr int most_candidates = 64;

// No memory behind a range, and none promised: also not to a system that counts promises (vm.overcommit_memory=2).
void* map_nothing(void* at, size_t n) {
  return mmap(at, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at == nullptr ? 0 : MAP_FIXED), -1, 0);
}

}  // namespace

size_t Heap::bin_of(size_t size) {
  size_t units = size / unit;
  if (units < exact) return units;
  size_t power = std::bit_width(units) - 1;  // at least 6
  return exact + (power - 6) * 16 + ((units >> (power - 4)) & 15);
}

void Heap::link(Block* b) {
  size_t bin = bin_of(b->size);
  b->previous = nullptr;
  b->next = heads_[bin];
  if (b->next != nullptr) b->next->previous = b;
  heads_[bin] = b;
  filled_[bin / 64] |= uint64_t(1) << (bin % 64);
}

void Heap::unlink(Block* b) {
  size_t bin = bin_of(b->size);
  if (b->next != nullptr) b->next->previous = b->previous;
  if (b->previous != nullptr) {
    b->previous->next = b->next;
  } else if ((heads_[bin] = b->next) == nullptr) {
    filled_[bin / 64] &= ~(uint64_t(1) << (bin % 64));
  }
}

// The smallest block of the bin that is large enough, of equal ones the lowest: what lies high is sooner free for good.
Block* Heap::best_in(size_t bin, size_t size) const {
  Block* best = nullptr;
  int candidates = 0;
  for (Block* b = heads_[bin]; b != nullptr && candidates < most_candidates; b = b->next, candidates++) {
    if (b->size < size) continue;
    if (best == nullptr || b->size < best->size || (b->size == best->size && b < best)) best = b;
  }
  return best;
}

Block* Heap::best(size_t size) const {
  size_t bin = bin_of(size);
  if (Block* b = best_in(bin, size)) return b;
  for (size_t word = ++bin / 64; word < filled_.size(); word++) {
    uint64_t filled = filled_[word];
    if (word == bin / 64) filled &= ~uint64_t(0) << (bin % 64);
    if (filled != 0) return best_in(word * 64 + std::countr_zero(filled), size);
  }
  return nullptr;
}

Block* Heap::after(Block* b) const {
  char* end = reinterpret_cast<char*>(b) + b->size;
  return end == base_ + top_ ? nullptr : reinterpret_cast<Block*>(end);
}

bool Heap::reserve() {
  if (base_ != nullptr) return true;
  size_t n = most_addresses;
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) n = std::min<size_t>(n, limit.rlim_cur / 4);
  for (n = round_up(n, huge_page); n >= fewest_addresses; n = round_up(n / 2, huge_page)) {
    void* p = map_nothing(nullptr, n + huge_page);
    if (p == MAP_FAILED) continue;
    base_ = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(p), huge_page));
    reserved_ = n;
    return true;
  }
  return false;
}

size_t Heap::missing(size_t from, size_t to) const {
  size_t n = 0;
  for (size_t i = from / huge_page; i < (to + huge_page - 1) / huge_page; i++) n += i < pages_.size() && pages_[i] ? 0 : huge_page;
  return n;
}

// Takes the pages that [from, to) reaches into; all of them or, where the system refuses, none.
bool Heap::hold(size_t from, size_t to) {
  size_t begin = from / huge_page, end = (to + huge_page - 1) / huge_page;
  if (pages_.size() < end) pages_.resize(end);
  for (size_t i = begin, run; i < end; i = run) {
    for (run = i; run < end && pages_[run] == pages_[i]; run++) {}
    if (pages_[i]) continue;
    char* p = base_ + i * huge_page;
    size_t n = (run - i) * huge_page;
    if (mprotect(p, n, PROT_READ | PROT_WRITE) != 0) {
      for (size_t j = begin; j < i; j++) {
        if (pages_[j] == 2) {
          pages_[j] = 0;
          held_ -= huge_page;
          map_nothing(base_ + j * huge_page, huge_page);
        }
      }
      return false;
    }
    madvise(p, n, MADV_HUGEPAGE);  // where the system has none, small pages serve
    std::fill(pages_.begin() + i, pages_.begin() + run, 2);
    held_ += n;
  }
  std::replace(pages_.begin() + begin, pages_.begin() + end, 2, 1);
  return true;
}

Block* Heap::take(size_t n, size_t budget, size_t& missing_bytes) {
  missing_bytes = 0;
  if (n > most_addresses || !reserve()) return nullptr;
  size_t size = n + sizeof(Block);
  Block* b = best(size);
  bool grows = b == nullptr;
  bool extends = grows && last_ != nullptr && !last_->used;
  if (grows) b = extends ? last_ : reinterpret_cast<Block*>(base_ + top_);
  size_t from = offset(b), end = grows ? round_up(from + size, huge_page) : from + b->size;
  if (end > reserved_) return nullptr;
  bool split = end - from - size >= 2 * unit;
  size_t to = from + size + (split ? sizeof(Block) : 0);
  missing_bytes = missing(from, to);
  if (missing_bytes > budget || (missing_bytes > 0 && !hold(from, to))) return nullptr;

  if (!grows || extends) unlink(b);
  if (grows && !extends) b->before = last_;
  if (grows) {
    top_ = end;
    last_ = b;
  }
  b->size = end - from;
  b->used = true;
  if (split) {
    Block* rest = reinterpret_cast<Block*>(base_ + from + size);
    rest->size = b->size - size;
    rest->before = b;
    rest->used = false;
    b->size = size;
    if (Block* a = after(rest)) a->before = rest;
    if (last_ == b) last_ = rest;
    link(rest);
  }
  return b;
}

void Heap::put(Block* b) {
  b->used = false;
  if (Block* a = after(b); a != nullptr && !a->used) {
    unlink(a);
    b->size += a->size;
    if (last_ == a) last_ = b;
  }
  if (Block* c = b->before; c != nullptr && !c->used) {
    unlink(c);
    c->size += b->size;
    if (last_ == b) last_ = c;
    b = c;
  }
  if (Block* a = after(b)) a->before = b;
  link(b);
}

size_t Heap::give_back(size_t n) {
  size_t given = 0;
  for (size_t bin = bins; bin-- > 0 && given < n;) {
    for (Block* b = heads_[bin]; b != nullptr && given < n; b = b->next) {
      size_t begin = (offset(b->bytes()) + huge_page - 1) / huge_page, end = std::min((offset(b) + b->size) / huge_page, pages_.size());
      for (size_t i = begin, run; i < end; i = run) {
        for (run = i; run < end && pages_[run] == pages_[i]; run++) {}
        if (!pages_[i]) continue;
        size_t bytes = (run - i) * huge_page;
        if (map_nothing(base_ + i * huge_page, bytes) == MAP_FAILED) continue;
        std::fill(pages_.begin() + i, pages_.begin() + run, 0);
        held_ -= bytes;
        given += bytes;
      }
    }
  }
  return given;
}

}  // namespace ft
