// What is counted of a device's memory: live bytes and their peak, by kind.
#pragma once

#include <array>
#include <cstdint>

#include "binding.h"

namespace ft {

struct Ledger {
  using Kinds = std::array<int64_t, ft_memory_kinds>;
  int64_t live = 0, peak = 0;
  Kinds by_kind{}, at_peak{};  // at_peak's sum is peak

  void add(uint8_t kind, int64_t bytes) {
    by_kind[kind] += bytes;
    live += bytes;
    if (live > peak) {
      peak = live;
      at_peak = by_kind;
    }
  }
  void remove(uint8_t kind, int64_t bytes) {
    by_kind[kind] -= bytes;
    live -= bytes;
  }
  void reset_peak() {
    peak = live;
    at_peak = by_kind;
  }
  void report(ft_kinds* out) const {
    for (int i = 0; i < ft_memory_kinds; i++) {
      out->live[i] = by_kind[i];
      out->at_peak[i] = at_peak[i];
    }
  }
};

// As what memory is counted that anyone takes from now on.
uint8_t current_kind();

// allocator.cc, the CPU's part of what device.cc asks.
void cpu_memory(ft_memory* out);  // without free and total
void cpu_reset_peak();
void cpu_empty_cache();

// cardledger.cc
void watch_cards();  // has this thread's allocations on cards counted by kind
void card_kinds(ft_device device, ft_kinds* out);
void card_reset_peak(ft_device device);
void limit_card(ft_device device, int64_t bytes);

}  // namespace ft
