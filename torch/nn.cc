// The operations a transformer is made of.
#include "guard.h"

#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>

using namespace ft;

const char* ft_embedding(ft_tensor weight, ft_tensor ids, ft_tensor* out) {
  FT_GUARD(*out = give(at::embedding(get(weight), get(ids))))
}

const char* ft_layer_norm(ft_tensor x, ft_tensor weight, ft_tensor bias, double eps, ft_tensor* out) {
  FT_GUARD(*out = give(at::layer_norm(get(x), get(weight).sizes(), get(weight), get(bias), eps)))
}

const char* ft_gelu_tanh(ft_tensor x, ft_tensor* out) { FT_GUARD(*out = give(at::gelu(get(x), "tanh"))) }

const char* ft_gelu(ft_tensor x, ft_tensor* out) { FT_GUARD(*out = give(at::gelu(get(x), "none"))) }

const char* ft_dropout(ft_tensor x, double p, ft_tensor* out) { FT_GUARD(*out = give(at::dropout(get(x), p, /*train=*/true))) }

const char* ft_attention(ft_tensor q, ft_tensor k, ft_tensor v, double dropout_p, int causal, ft_tensor* out) {
  FT_GUARD(*out = give(at::scaled_dot_product_attention(get(q), get(k), get(v), {}, dropout_p, causal != 0)))
}
