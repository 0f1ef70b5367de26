// What an update consists of: fused AdamW, the global norm, and the kernels of loss scaling.
#include "guard.h"

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

using namespace ft;

// torch.optim.AdamW(fused=True): the step counts advance first and are taken back where found_inf is 1.
const char* ft_fused_adamw_(const ft_tensor* params, const ft_tensor* grads, const ft_tensor* exp_avgs, const ft_tensor* exp_avg_sqs,
                            const ft_tensor* steps, size_t n, ft_tensor lr, double beta1, double beta2, double weight_decay, double eps,
                            ft_tensor found_inf) {
  FT_GUARD(auto s = list(steps, n); std::optional<at::Tensor> inf; if (found_inf != nullptr) inf = get(found_inf);
           at::_foreach_add_(s, 1);
           at::_fused_adamw_(list(params, n), list(grads, n), list(exp_avgs, n), list(exp_avg_sqs, n), {}, s, get(lr), beta1, beta2,
                             weight_decay, eps, /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, inf);
           if (inf) at::_foreach_sub_(s, std::vector<at::Tensor>(n, *inf)))
}

const char* ft_global_norm(const ft_tensor* tensors, size_t n, ft_tensor* out) {
  FT_GUARD(auto norms = at::_foreach_norm(list(tensors, n), 2); *out = give(at::linalg_vector_norm(at::stack(norms), 2)))
}

const char* ft_clip_coefficient(ft_tensor norm, double max_norm, ft_tensor* out) {
  FT_GUARD(*out = give(get(norm).add(1e-6).reciprocal_().mul_(max_norm).clamp_max_(1.0)))
}

const char* ft_foreach_mul_(const ft_tensor* tensors, size_t n, ft_tensor factor) {
  FT_GUARD(at::_foreach_mul_(list(tensors, n), get(factor)))
}

const char* ft_amp_unscale_(const ft_tensor* grads, size_t n, ft_tensor found_inf, ft_tensor inverse_scale) {
  FT_GUARD(auto g = list(grads, n); at::_amp_foreach_non_finite_check_and_unscale_(g, get(found_inf), get(inverse_scale)))
}

const char* ft_amp_update_scale_(ft_tensor scale, ft_tensor growth_tracker, ft_tensor found_inf, double growth, double backoff, int64_t interval) {
  FT_GUARD(at::_amp_update_scale_(get(scale), get(growth_tracker), get(found_inf), growth, backoff, interval))
}
