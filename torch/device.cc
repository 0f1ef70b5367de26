// Devices through libtorch's generic entry points, so that one binary serves CPU and CUDA: libtorch_cuda is never linked
// but opened beside libtorch_cpu, where its static initialisers register hooks and kernels.
#include "guard.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "ledger.h"
#include "library.h"

using namespace ft;

namespace {

// The NVIDIA driver answers: a machine with the library but no card says so in cuInit or cuDeviceGetCount.
std::string driver_problem() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (driver == nullptr) return "no NVIDIA driver (libcuda.so.1 is not installed)";
  auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  auto count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  if (init == nullptr || count == nullptr) return "libcuda.so.1 is not an NVIDIA driver";
  if (int e = init(0)) return "the NVIDIA driver does not start (cuInit: error " + std::to_string(e) + ")";
  int n = 0;
  if (int e = count(&n)) return "the NVIDIA driver does not count its cards (error " + std::to_string(e) + ")";
  return n > 0 ? "" : "the NVIDIA driver sees no card";
}

bool on_cpu(ft_device d) { return static_cast<c10::DeviceType>(d.type) == c10::DeviceType::CPU; }

// The caching allocator knows no card before the device type is initialised, which only the first tensor would do.
c10::DeviceAllocator* allocator(ft_device d) {
  auto type = static_cast<c10::DeviceType>(d.type);
  at::globalContext().lazyInitDevice(type);
  return c10::getDeviceAllocator(type);
}

}  // namespace

std::string ft::open_cuda_library() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&at::get_num_threads), &info) == 0) return "libtorch_cpu.so cannot be located";
  std::string path(info.dli_fname);
  path = path.substr(0, path.rfind('/') + 1) + "libtorch_cuda.so";
  if (FILE* f = std::fopen(path.c_str(), "rb")) {
    std::fclose(f);
  } else {
    return "this libtorch is for the CPU only: run scripts/install-libtorch.sh --cuda";
  }
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) return std::string("libtorch_cuda.so does not load: ") + dlerror();
  return "";
}

// Must come before any other device query: at::hasCUDA caches its answer. *why is malloc'd, empty when CUDA is there.
const char* ft_load_cuda(char** why) {
  FT_GUARD(std::string problem = driver_problem(); if (problem.empty()) problem = open_cuda_library();
           if (problem.empty() && !at::hasCUDA()) problem = "libtorch_cuda.so loaded, but registered no CUDA support";
           *why = strdup(problem.c_str()); TORCH_CHECK(*why != nullptr, "not enough memory"))
}

const char* ft_device_count(int8_t type, int* out) {
  FT_GUARD(c10::impl::VirtualGuardImpl impl(static_cast<c10::DeviceType>(type)); *out = impl.deviceCount())
}

const char* ft_memory_stats(ft_device d, ft_memory* out) {
  FT_GUARD(if (on_cpu(d)) { cpu_memory(out); return nullptr; }
           auto s = allocator(d)->getDeviceStats(d.index); auto [free, total] = allocator(d)->getMemoryInfo(d.index);
           out->allocated = s.allocated_bytes[0].current; out->allocated_peak = s.allocated_bytes[0].peak;
           out->reserved = s.reserved_bytes[0].current; out->reserved_peak = s.reserved_bytes[0].peak; out->free = free; out->total = total)
}

const char* ft_reset_peak(ft_device d) {
  FT_GUARD(if (on_cpu(d)) cpu_reset_peak(); else { allocator(d)->resetPeakStats(d.index); card_reset_peak(d); })
}

const char* ft_empty_cache(ft_device d) { FT_GUARD(if (on_cpu(d)) cpu_empty_cache(); else allocator(d)->emptyCache()) }

const char* ft_synchronize(ft_device d) {
  FT_GUARD(if (!on_cpu(d)) c10::impl::VirtualGuardImpl(static_cast<c10::DeviceType>(d.type)).synchronizeDevice(d.index))
}

const char* ft_manual_seed(ft_device d, uint64_t seed) {
  FT_GUARD(auto gen = at::globalContext().defaultGenerator(on_cpu(d) ? c10::Device(c10::kCPU) : device(d));
           std::lock_guard<std::mutex> lock(gen.mutex()); gen.set_current_seed(seed))
}

const char* ft_set_num_threads(int n) { FT_GUARD(at::set_num_threads(n)) }

const char* ft_num_threads(int* out) { FT_GUARD(*out = at::get_num_threads()) }

const char* ft_cpu_capability(const char** out) {
  FT_GUARD(static std::string text = at::get_cpu_capability(); *out = text.c_str())
}
