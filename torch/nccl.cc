// c10d's ProcessGroupNCCL, for tensors on cards. It is in libtorch_cuda.so, which is never linked, and its header needs those of CUDA and
// NCCL, which a user does not have. So its constructors are looked up by their names in the C++ ABI and called on memory of the right
// size; everything else are virtual functions of c10d::Backend.
#include "guard.h"

#include <dlfcn.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <memory>

#include "library.h"

using namespace ft;
using std::chrono::milliseconds;

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::Backend>;
using Options = c10::intrusive_ptr<c10d::Backend::Options>;

Group& group(void* p) { return *static_cast<Group*>(p); }

// The sizes are those of libtorch 2.11.0, to which guard.h holds, made with this version of NCCL, as torch::cuda::nccl::version tells it.
constexpr uint64_t nccl_version = uint64_t(2) << 32 | 28 << 16 | 9;

// c10d::ProcessGroupNCCL::ProcessGroupNCCL(intrusive_ptr<Store>, int, int, intrusive_ptr<Options>). An object that is not trivially
// copied is passed by its address, so that any intrusive_ptr does.
constexpr char group_constructor[] =
    "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_typeIS3_EEEEiiNS2_INS0_7"
    "OptionsENS5_IS8_EEEE";
// c10d::ProcessGroupNCCL::Options::Options(bool is_high_priority_stream)
constexpr char options_constructor[] = "_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb";

template <typename F>
F* find(const char* name) {
  void* f = dlsym(RTLD_DEFAULT, name);
  TORCH_CHECK(f != nullptr, "this libtorch has no NCCL: libtorch_cuda.so has no ", name);
  return reinterpret_cast<F*>(f);
}

// What new does with a class whose constructor is called by its address: construct makes a T, or a class that begins with one, in memory
// of that size.
template <typename T, typename F>
c10::intrusive_ptr<T> make(size_t bytes, F construct) {
  std::unique_ptr<void, void (*)(void*)> memory(::operator new(bytes), [](void* p) { ::operator delete(p); });
  construct(memory.get());
  return c10::intrusive_ptr<T>::unsafe_steal_from_new(static_cast<T*>(memory.release()));
}

void open_nccl() {
  std::string problem = open_cuda_library();
  TORCH_CHECK(problem.empty(), problem);
  uint64_t version = find<uint64_t()>("_ZN5torch4cuda4nccl7versionEv")();
  TORCH_CHECK(version == nccl_version, "this libtorch was made with NCCL ", version >> 32, '.', version >> 16 & 0xffff, '.', version & 0xffff,
              ", not 2.28.9");
  find<void()>(group_constructor);
  find<void()>(options_constructor);
}

}  // namespace

const char* ft_nccl_open() { FT_GUARD(open_nccl()) }

const char* ft_group_nccl(void* s, int rank, int size, ft_device d, int64_t timeout_ms, void** out) {
  FT_GUARD({
    open_nccl();
    auto options = make<c10d::Backend::Options>(ft_nccl_options_bytes, [](void* p) { find<void(void*, bool)>(options_constructor)(p, false); });
    options->timeout = milliseconds(timeout_ms);
    auto g = make<c10d::Backend>(ft_nccl_group_bytes, [&](void* p) {
      find<void(void*, Store, int, int, Options)>(group_constructor)(p, *static_cast<Store*>(s), rank, size, options);
    });
    g->setBoundDeviceId(device(d));
    try {
      g->eagerConnectSingleDevice(device(d));
    } catch (...) {
      g->abort();  // without it the destructor warns
      throw;
    }
    *out = new Group(std::move(g));
  })
}

const char* ft_group_shutdown(void* g) { FT_GUARD(group(g)->shutdown()) }

const char* ft_group_abort(void* g) { FT_GUARD(group(g)->abort()) }
