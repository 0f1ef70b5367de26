// Tensors: creation, metadata, copies between devices, dtypes and host memory.
#include "guard.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>

#include <cstring>

using namespace ft;

namespace {
at::TensorOptions options(int8_t dtype, ft_device d) {
  return at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype)).device(device(d));
}
}  // namespace

const char* ft_empty(const int64_t* shape, size_t n, int8_t dtype, ft_device d, ft_tensor* out) {
  FT_GUARD(*out = give(at::empty(sizes(shape, n), options(dtype, d))))
}

const char* ft_full(const int64_t* shape, size_t n, double value, int8_t dtype, ft_device d, ft_tensor* out) {
  FT_GUARD(*out = give(at::full(sizes(shape, n), value, options(dtype, d))))
}

// The bytes are copied before the function returns: no Go pointer stays behind. On their way to a card they lie in pinned
// memory, from which the copy does not wait for the work in the stream; large ones do not, for pinned memory stays taken.
const char* ft_from_bytes(const void* data, size_t bytes, const int64_t* shape, size_t n, int8_t dtype, ft_device d, ft_tensor* out) {
  FT_GUARD(bool pin = d.type != 0 && bytes <= (16 << 20); auto host = at::empty(sizes(shape, n), options(dtype, {0, 0}).pinned_memory(pin));
           TORCH_CHECK(host.nbytes() == bytes, "a tensor of size ", host.sizes(), " holds ", host.nbytes(), " bytes, not ", bytes);
           if (bytes > 0) std::memcpy(host.mutable_data_ptr(), data, bytes);
           *out = give(d.type == 0 ? std::move(host) : host.to(device(d), /*non_blocking=*/pin)))
}

const char* ft_copy_to_bytes(ft_tensor t, void* data, size_t bytes) {
  FT_GUARD(auto host = get(t).detach().to(at::kCPU).contiguous();
           TORCH_CHECK(host.nbytes() == bytes, "a tensor of size ", host.sizes(), " holds ", host.nbytes(), " bytes, not ", bytes);
           if (bytes > 0) std::memcpy(data, host.const_data_ptr(), bytes))
}

const char* ft_item(ft_tensor t, double* out) { FT_GUARD(*out = get(t).item().toDouble()) }

const char* ft_free(ft_tensor t) { FT_GUARD(delete &get(t)) }

const char* ft_dim(ft_tensor t, size_t* out) { FT_GUARD(*out = get(t).dim()) }

const char* ft_shape(ft_tensor t, int64_t* out) {
  FT_GUARD(auto s = get(t).sizes(); for (size_t i = 0; i < s.size(); i++) out[i] = s[i])
}

const char* ft_info(ft_tensor t, int8_t* dtype, ft_device* d, int64_t* numel, int* requires_grad) {
  FT_GUARD(auto& x = get(t); *dtype = static_cast<int8_t>(x.scalar_type()); d->type = static_cast<int8_t>(x.device().type());
           d->index = std::max<int8_t>(0, x.device().index()); *numel = x.numel(); *requires_grad = x.requires_grad())
}

const char* ft_to(ft_tensor t, int8_t dtype, ft_device d, ft_tensor* out) {
  FT_GUARD(*out = give(get(t).to(device(d), static_cast<at::ScalarType>(dtype))))
}

const char* ft_copy_(ft_tensor dst, ft_tensor src) { FT_GUARD(get(dst).copy_(get(src))) }

const char* ft_clone(ft_tensor t, ft_tensor* out) { FT_GUARD(*out = give(get(t).clone())) }

const char* ft_detach(ft_tensor t, ft_tensor* out) { FT_GUARD(*out = give(get(t).detach())) }

const char* ft_equal(ft_tensor a, ft_tensor b, int* out) { FT_GUARD(*out = at::equal(get(a), get(b))) }
