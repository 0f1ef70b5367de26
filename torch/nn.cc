// The operations of a transformer that are libtorch's as they are.
#include "guard.h"

#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>

using namespace ft;

const char* ft_embedding(ft_tensor weight, ft_tensor ids, ft_tensor* out) {
  FT_GUARD(*out = give(at::embedding(get(weight), get(ids))))
}

const char* ft_gelu(ft_tensor x, ft_tensor* out) { FT_GUARD(*out = give(at::gelu(get(x), "none"))) }

const char* ft_dropout(ft_tensor x, double p, ft_tensor* out) { FT_GUARD(*out = give(at::dropout(get(x), p, /*train=*/true))) }
