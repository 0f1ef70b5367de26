// Memory of cards by kind. The caching allocator of a card tells the profiler of the thread that it works for, if there is one, of every
// block given and freed; this profiler, which is otherwise disabled, keeps the ledger. Autograd's threads inherit it.
#include "guard.h"

#include <ATen/Context.h>
#include <c10/core/AllocatorConfig.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/profiler/orchestration/observer.h>

#include <map>
#include <mutex>
#include <unordered_map>

#include "ledger.h"

using namespace ft;
namespace profiler = torch::profiler::impl;

namespace {

class CardLedgers final : public profiler::ProfilerStateBase {
 public:
  CardLedgers() : ProfilerStateBase(profiler::ProfilerConfig(profiler::ProfilerState::Disabled)) {}

  void reportMemoryUsage(void* p, int64_t bytes, size_t, size_t, c10::Device device) override {
    if (device.is_cpu()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    Ledger& ledger = ledgers_[device.index()];
    if (bytes > 0) {
      blocks_[p] = {bytes, current_kind()};
      ledger.add(current_kind(), bytes);
    } else if (auto block = blocks_.find(p); block != blocks_.end()) {
      ledger.remove(block->second.kind, block->second.bytes);
      blocks_.erase(block);
    }
  }
  bool memoryProfilingEnabled() const override { return true; }
  profiler::ActiveProfilerType profilerType() override { return profiler::ActiveProfilerType::NONE; }

  void report(c10::DeviceIndex index, ft_kinds* out) {
    std::lock_guard<std::mutex> lock(mutex_);
    ledgers_[index].report(out);
  }
  void reset_peak(c10::DeviceIndex index) {
    std::lock_guard<std::mutex> lock(mutex_);
    ledgers_[index].reset_peak();
  }

 private:
  struct Block {
    int64_t bytes;
    uint8_t kind;
  };
  std::mutex mutex_;
  std::map<c10::DeviceIndex, Ledger> ledgers_;
  std::unordered_map<void*, Block> blocks_;
};

const std::shared_ptr<CardLedgers>& cards() {
  static auto* ledgers = new std::shared_ptr<CardLedgers>(std::make_shared<CardLedgers>());
  return *ledgers;
}

}  // namespace

void ft::watch_cards() {
  static thread_local bool watched = false;
  if (watched || c10::GetAllocator(c10::kCUDA) == nullptr) return;
  c10::ThreadLocalDebugInfo::_push(c10::DebugInfoKind::PROFILER_STATE, cards());
  watched = true;
}

void ft::card_kinds(ft_device d, ft_kinds* out) { cards()->report(d.index, out); }

void ft::card_reset_peak(ft_device d) { cards()->reset_peak(d.index); }

// The generic interface has the cap only as a setting, which the allocator reads when it meets its card for the first time.
void ft::limit_card(ft_device d, int64_t bytes) {
  auto* allocator = c10::getDeviceAllocator(static_cast<c10::DeviceType>(d.type));
  TORCH_CHECK(!allocator->initialized(), "a card's memory is limited before its first use, or not at all");
  double fraction = 1;
  if (bytes > 0) fraction = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(allocator->getMemoryInfo(d.index).second));
  char text[80];
  std::snprintf(text, sizeof text, "per_process_memory_fraction:%.17f", fraction);
  c10::CachingAllocator::setAllocatorSettings(text);
}
