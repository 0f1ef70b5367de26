// Gradients: the backward pass, and gradient mode, which is a state of the OS thread.
#include "guard.h"

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
