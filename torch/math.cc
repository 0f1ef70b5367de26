// Arithmetic: elementwise operations, reductions, products.
#include "guard.h"

#include <ATen/ops/add.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/scatter.h>
#include <ATen/ops/scatter_add.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>

using namespace ft;

const char* ft_add(ft_tensor a, ft_tensor b, double alpha, ft_tensor* out) { FT_GUARD(*out = give(at::add(get(a), get(b), alpha))) }

const char* ft_add_(ft_tensor a, ft_tensor b, double alpha) { FT_GUARD(get(a).add_(get(b), alpha)) }

const char* ft_add_scalar_(ft_tensor a, double b) { FT_GUARD(get(a).add_(scalar(a, b))) }

const char* ft_sub(ft_tensor a, ft_tensor b, ft_tensor* out) { FT_GUARD(*out = give(at::sub(get(a), get(b)))) }

const char* ft_mul(ft_tensor a, ft_tensor b, ft_tensor* out) { FT_GUARD(*out = give(at::mul(get(a), get(b)))) }

const char* ft_mul_(ft_tensor a, ft_tensor b) { FT_GUARD(get(a).mul_(get(b))) }

const char* ft_mul_scalar(ft_tensor a, double b, ft_tensor* out) { FT_GUARD(*out = give(at::mul(get(a), scalar(a, b)))) }

const char* ft_fill_(ft_tensor a, double value) { FT_GUARD(get(a).fill_(value)) }

const char* ft_reciprocal(ft_tensor a, ft_tensor* out) { FT_GUARD(*out = give(at::reciprocal(get(a)))) }

const char* ft_exp_(ft_tensor a) { FT_GUARD(get(a).exp_()) }

const char* ft_log(ft_tensor a, ft_tensor* out) { FT_GUARD(*out = give(at::log(get(a)))) }

const char* ft_sum(ft_tensor a, int8_t dtype, ft_tensor* out) {
  FT_GUARD(*out = give(at::sum(get(a), static_cast<at::ScalarType>(dtype))))
}

const char* ft_sum_dim(ft_tensor a, int64_t dim, ft_tensor* out) { FT_GUARD(*out = give(at::sum(get(a), dim))) }

const char* ft_ge_scalar(ft_tensor a, double b, ft_tensor* out) { FT_GUARD(*out = give(at::ge(get(a), scalar(a, b)))) }

const char* ft_clamp_min(ft_tensor a, double b, ft_tensor* out) { FT_GUARD(*out = give(at::clamp_min(get(a), scalar(a, b)))) }

const char* ft_matmul(ft_tensor a, ft_tensor b, ft_tensor* out) { FT_GUARD(*out = give(at::matmul(get(a), get(b)))) }

const char* ft_log_softmax(ft_tensor a, int64_t dim, int8_t dtype, ft_tensor* out) {
  FT_GUARD(*out = give(at::log_softmax(get(a), dim, static_cast<at::ScalarType>(dtype))))
}

const char* ft_gather(ft_tensor a, int64_t dim, ft_tensor index, ft_tensor* out) {
  FT_GUARD(*out = give(at::gather(get(a), dim, get(index))))
}

const char* ft_scatter_add_(ft_tensor a, int64_t dim, ft_tensor index, ft_tensor src) {
  FT_GUARD(get(a).scatter_add_(dim, get(index), get(src)))
}

const char* ft_scatter_fill_(ft_tensor a, int64_t dim, ft_tensor index, double value) {
  FT_GUARD(get(a).scatter_(dim, get(index), value))
}

const char* ft_topk(ft_tensor a, int64_t k, ft_tensor* values, ft_tensor* indices) {
  FT_GUARD({
    auto [largest, where] = at::topk(get(a), k);
    *values = give(largest);
    *indices = give(where);
  })
}

const char* ft_where(ft_tensor condition, ft_tensor a, ft_tensor b, ft_tensor* out) {
  FT_GUARD(*out = give(at::where(get(condition).to(at::kBool), get(a), get(b))))
}

const char* ft_normal_(ft_tensor a, double mean, double std) { FT_GUARD(get(a).normal_(mean, std)) }
