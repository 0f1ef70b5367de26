// What an update consists of: fused AdamW and the scale of the loss.
#include "guard.h"

#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/_fused_adamw.h>

using namespace ft;

// As torch.optim.AdamW(fused=True) counts: before the update, and not where found_inf is 1.
const char* ft_count_update_(ft_tensor count, ft_tensor found_inf) {
  FT_GUARD(at::Tensor& n = get(count); if (n.is_cpu()) {
    if (found_inf == nullptr || *get(found_inf).const_data_ptr<float>() == 0) ++*n.mutable_data_ptr<float>();
  } else {
    n.add_(1);
    if (found_inf != nullptr) n.sub_(get(found_inf));
  })
}

// torch.optim.AdamW(fused=True), but for the count. The gradients are divided by grad_scale on the way.
const char* ft_fused_adamw_(const ft_tensor* params, const ft_tensor* grads, const ft_tensor* exp_avgs, const ft_tensor* exp_avg_sqs, size_t n,
                            ft_tensor step, ft_tensor lr, double beta1, double beta2, double weight_decay, double eps, ft_tensor grad_scale,
                            ft_tensor found_inf) {
  FT_GUARD(std::optional<at::Tensor> scale, inf; if (grad_scale != nullptr) scale = get(grad_scale); if (found_inf != nullptr) inf = get(found_inf);
           at::_fused_adamw_(list(params, n), list(grads, n), list(exp_avgs, n), list(exp_avg_sqs, n), {}, std::vector<at::Tensor>(n, get(step)), get(lr),
                             beta1, beta2, weight_decay, eps, /*amsgrad=*/false, /*maximize=*/false, scale, inf))
}

const char* ft_clip_coefficient(ft_tensor norm, double max_norm, ft_tensor* out) {
  FT_GUARD(*out = give(get(norm).add(1e-6).reciprocal_().mul_(max_norm).clamp_max_(1.0)))
}

const char* ft_amp_update_scale_(ft_tensor scale, ft_tensor growth_tracker, ft_tensor found_inf, double growth, double backoff, int64_t interval) {
  FT_GUARD(at::_amp_update_scale_(get(scale), get(growth_tracker), get(found_inf), growth, backoff, interval))
}
