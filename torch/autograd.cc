// Gradients: the backward pass, gradient mode, autocast. The last two are states of the OS thread.
#include "guard.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

using namespace ft;

namespace {

// After an error the engine leaves what was still to be done, gradients included, in the thread's queue until the next backward
// pass, which throws it out first: a small one does it now, so that memory is free again where memory was the trouble.
void backward(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& grads) {
  try {
    torch::autograd::backward(outputs, grads);
  } catch (...) {
    auto error = std::current_exception();
    auto x = at::zeros({1}).requires_grad_(true);
    torch::autograd::backward({x}, {x.detach()});
    std::rethrow_exception(error);
  }
}

}  // namespace

const char* ft_set_requires_grad(ft_tensor t, int on) { FT_GUARD(get(t).requires_grad_(on != 0)) }

const char* ft_grad(ft_tensor t, ft_tensor* out) {
  FT_GUARD(const auto& g = get(t).grad(); *out = g.defined() ? give(g) : nullptr)
}

const char* ft_set_grad(ft_tensor t, ft_tensor grad) {
  FT_GUARD(get(t).mutable_grad() = grad == nullptr ? at::Tensor() : get(grad))
}

const char* ft_backward(const ft_tensor* outputs, const ft_tensor* grads, size_t n) {
  FT_GUARD(backward(list(outputs, n), grads == nullptr ? std::vector<at::Tensor>(n) : list(grads, n)))
}

const char* ft_grad_mode(int on, int* before) {
  FT_GUARD(*before = c10::GradMode::is_enabled(); c10::GradMode::set_enabled(on != 0))
}

const char* ft_autocast_enter(int8_t device_type, int on, int8_t dtype, ft_autocast* before) {
  FT_GUARD(auto d = static_cast<at::DeviceType>(device_type); before->enabled = at::autocast::is_autocast_enabled(d);
           before->dtype = static_cast<int8_t>(at::autocast::get_autocast_dtype(d));
           before->cache = at::autocast::is_autocast_cache_enabled(); at::autocast::increment_nesting();
           at::autocast::set_autocast_enabled(d, on != 0); at::autocast::set_autocast_cache_enabled(true);
           if (on) at::autocast::set_autocast_dtype(d, static_cast<at::ScalarType>(dtype)))
}

// The cache of casted weights is emptied on the way out: a weight casted without gradients must never serve with them.
const char* ft_autocast_leave(int8_t device_type, const ft_autocast* before) {
  FT_GUARD(auto d = static_cast<at::DeviceType>(device_type); at::autocast::decrement_nesting(); at::autocast::clear_cache();
           at::autocast::set_autocast_enabled(d, before->enabled != 0);
           at::autocast::set_autocast_dtype(d, static_cast<at::ScalarType>(before->dtype));
           at::autocast::set_autocast_cache_enabled(before->cache != 0))
}
