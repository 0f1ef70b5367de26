// Copies between the host's memory and a card's beside the card's other work: queues of their own, and events that say how far a
// queue has come. Memory of the host for them. Everything through the generic entry points of device.cc.
#include "guard.h"

#include <ATen/Context.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include "heap.h"

using namespace ft;

namespace {

c10::Stream& stream(void* p) { return *static_cast<c10::Stream*>(p); }
c10::Event& event(void* p) { return *static_cast<c10::Event*>(p); }

// The stream, or that in which the device works now.
c10::Stream stream_or_usual(void* p, ft_device d) {
  return p != nullptr ? stream(p) : c10::impl::VirtualGuardImpl(device(d).type()).getStream(device(d));
}

// Has the driver keep the pages where they are, so that copies need no hand from the processor. From the runtime that came with
// libtorch_cuda: libtorch's own pinned memory is taken by powers of two, which would waste half of a large buffer.
bool pin(void* p, size_t bytes) {
  auto pin = reinterpret_cast<int (*)(void*, size_t, unsigned)>(dlsym(RTLD_DEFAULT, "cudaHostRegister"));
  auto forget_error = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "cudaGetLastError"));
  if (pin == nullptr || forget_error == nullptr) return false;
  if (pin(p, bytes, 0) == 0) return true;
  forget_error();
  return false;
}

void unpin(void* p) {
  if (auto unpin = reinterpret_cast<int (*)(void*)>(dlsym(RTLD_DEFAULT, "cudaHostUnregister"))) unpin(p);
}

}  // namespace

const char* ft_stream_new(ft_device d, void** out) {
  FT_GUARD(at::globalContext().lazyInitDevice(device(d).type());
           *out = new c10::Stream(c10::impl::VirtualGuardImpl(device(d).type()).getStreamFromGlobalPool(device(d))))
}

const char* ft_stream_free(void* s) { FT_GUARD(delete &stream(s)) }

const char* ft_stream_copy(void* s, ft_tensor to, ft_tensor from) {
  FT_GUARD(c10::StreamGuard guard(stream(s)); get(to).copy_(get(from), /*non_blocking=*/true))
}

const char* ft_event_new(ft_device d, void** out) { FT_GUARD(*out = new c10::Event(device(d).type())) }

const char* ft_event_free(void* e) { FT_GUARD(delete &event(e)) }

const char* ft_event_record(void* e, void* s, ft_device d) { FT_GUARD(event(e).record(stream_or_usual(s, d))) }

const char* ft_event_block(void* e, void* s, ft_device d) { FT_GUARD(event(e).block(stream_or_usual(s, d))) }

const char* ft_event_synchronize(void* e) { FT_GUARD(event(e).synchronize()) }

const char* ft_host_zeros(const int64_t* shape, size_t n, int8_t dtype, ft_device card, ft_tensor* out, int* pinned) {
  FT_GUARD({
    auto type = static_cast<at::ScalarType>(dtype);
    c10::OptionalDeviceGuard guard;  // the runtime would wake up the first card otherwise, whichever is meant
    if (!device(card).is_cpu()) guard.reset_device(device(card));
    size_t bytes = round_up(std::max<size_t>(1, c10::multiply_integers(sizes(shape, n)) * c10::elementSize(type)), huge_page);
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TORCH_CHECK_WITH(OutOfMemoryError, p != MAP_FAILED, "the host has no ", bytes, " bytes for a tensor");
    madvise(p, bytes, MADV_HUGEPAGE);
    bool is_pinned = !device(card).is_cpu() && pin(p, bytes);
    auto release = [bytes, is_pinned, card](void* p) {
      if (is_pinned) {
        c10::DeviceGuard guard(device(card));
        unpin(p);
      }
      munmap(p, bytes);
    };
    *pinned = is_pinned;
    *out = give(at::from_blob(p, sizes(shape, n), release, at::TensorOptions().dtype(type)));
  })
}
