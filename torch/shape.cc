// Views: the same elements seen in another shape.
#include "guard.h"

#include <ATen/ops/index_select.h>

using namespace ft;

const char* ft_reshape(ft_tensor t, const int64_t* shape, size_t n, ft_tensor* out) {
  FT_GUARD(*out = give(get(t).reshape(sizes(shape, n))))
}

const char* ft_transpose(ft_tensor t, int64_t a, int64_t b, ft_tensor* out) { FT_GUARD(*out = give(get(t).transpose(a, b))) }

const char* ft_narrow(ft_tensor t, int64_t dim, int64_t start, int64_t length, ft_tensor* out) {
  FT_GUARD(*out = give(get(t).narrow(dim, start, length)))
}

const char* ft_index_select(ft_tensor t, int64_t dim, ft_tensor index, ft_tensor* out) {
  FT_GUARD(*out = give(at::index_select(get(t), dim, get(index))))
}
