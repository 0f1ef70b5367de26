// A heap for tensors: blocks side by side in one reserved range of addresses, the best fit split, neighbours joined at once when
// they are freed. It takes huge pages from the system as blocks reach into them and gives back those that no block needs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ft {

inline constexpr size_t unit = 64;               // of sizes and of alignment: a cache line, and the longest vector
inline constexpr size_t huge_page = size_t(2) << 20;  // in which the system gives and takes

inline constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// What stands before a block's bytes. The bytes follow at once, so that they are aligned to unit; large ones are deliberately not
// aligned to pages of their own: equal low address bits of all tensors would make them compete for the same cache lines.
struct alignas(unit) Block {
  size_t size;      // header included
  Block* before;    // the neighbour below; null: none
  Block* previous;  // in its bin, while free
  Block* next;
  size_t counted;  // what the block's user is charged, and as what kind
  uint8_t kind;
  bool used;
  bool small;  // of which heap

  void* bytes() { return this + 1; }
  static Block* of(void* bytes) { return static_cast<Block*>(bytes) - 1; }
};
static_assert(sizeof(Block) == unit);

// Not thread-safe: the allocator holds a lock.
class Heap {
 public:
  // A block with room for n bytes, a multiple of unit. Null where that takes more than budget bytes of pages from the system (missing
  // tells how many), or where the system has none.
  Block* take(size_t n, size_t budget, size_t& missing);
  void put(Block* b);
  size_t held() const { return held_; }
  // Gives the pages of free blocks back, of the largest blocks first, until that makes n bytes or there are none.
  size_t give_back(size_t n);

 private:
  // One list for each size below exact·unit, then sixteen for each doubling.
  static constexpr size_t exact = 64, bins = exact + 16 * 40;

  static size_t bin_of(size_t size);
  void link(Block* b);
  void unlink(Block* b);
  Block* best_in(size_t bin, size_t size) const;
  Block* best(size_t size) const;
  Block* after(Block* b) const;
  size_t missing(size_t from, size_t to) const;
  bool hold(size_t from, size_t to);
  bool reserve();
  size_t offset(const void* p) const { return static_cast<size_t>(static_cast<const char*>(p) - base_); }

  char* base_ = nullptr;
  size_t reserved_ = 0;     // addresses
  size_t top_ = 0;          // blocks fill what lies below
  Block* last_ = nullptr;   // the one that ends at top_
  size_t held_ = 0;         // bytes of pages taken from the system
  std::vector<char> pages_;  // below top_: whether taken
  std::array<Block*, bins> heads_{};
  std::array<uint64_t, bins / 64> filled_{};  // the bins that are not empty
};

}  // namespace ft
