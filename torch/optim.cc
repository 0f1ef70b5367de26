// What an update consists of: fused AdamW and the scale of the loss.
#include "guard.h"

#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/_fused_adamw.h>

using namespace ft;

// torch.optim.AdamW(fused=True): the count of updates advances first and is taken back where found_inf is 1. The gradients are
// divided by grad_scale on the way.
const char* ft_fused_adamw_(const ft_tensor* params, const ft_tensor* grads, const ft_tensor* exp_avgs, const ft_tensor* exp_avg_sqs, size_t n,
                            ft_tensor step, ft_tensor lr, double beta1, double beta2, double weight_decay, double eps, ft_tensor grad_scale,
                            ft_tensor found_inf) {
  FT_GUARD(std::optional<at::Tensor> scale, inf; if (grad_scale != nullptr) scale = get(grad_scale); if (found_inf != nullptr) inf = get(found_inf);
           if (get(step).is_cpu()) ++*get(step).mutable_data_ptr<float>(); else get(step).add_(1);
           at::_fused_adamw_(list(params, n), list(grads, n), list(exp_avgs, n), list(exp_avg_sqs, n), {}, std::vector<at::Tensor>(n, get(step)), get(lr),
                             beta1, beta2, weight_decay, eps, /*amsgrad=*/false, /*maximize=*/false, scale, inf);
           if (inf) get(step).sub_(*inf))
}

const char* ft_clip_coefficient(ft_tensor norm, double max_norm, ft_tensor* out) {
  FT_GUARD(*out = give(get(norm).add(1e-6).reciprocal_().mul_(max_norm).clamp_max_(1.0)))
}

const char* ft_amp_update_scale_(ft_tensor scale, ft_tensor growth_tracker, ft_tensor found_inf, double growth, double backoff, int64_t interval) {
  FT_GUARD(at::_amp_update_scale_(get(scale), get(growth_tracker), get(found_inf), growth, backoff, interval))
}
