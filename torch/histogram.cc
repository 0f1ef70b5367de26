// Histograms on the device where the tensors lie: what crosses to the host is a row of numbers a tensor.
#include "guard.h"

#include <c10/core/GradMode.h>

#include <ATen/ops/bincount.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>

using namespace ft;

namespace {

constexpr int64_t piece = 1 << 20;  // elements at a time, so that what lies in between stays below 20 MB
constexpr int64_t not_finite = 0, minimum = 1, maximum = 2, sum = 3, sum_squares = 4, counts = 5;  // of a row

// Adds the elements of x, float32 and at least one, to a row that began with zeros, +inf and -inf.
void add(const at::Tensor& x, const at::Tensor& edges, const at::Tensor& row) {
  auto finite = at::isfinite(x);
  auto y = at::where(finite, x, 0.0);  // one that is not finite passes for 0 until the count of zeros is put right
  auto strays = at::where(finite, 0.0, 1.0).sum(at::kDouble);
  auto bins = at::bucketize(y, edges, /*out_int32=*/true, /*right=*/true);
  auto binned = row.narrow(0, counts, edges.numel() + 1);
  binned.add_(at::bincount(bins, {}, edges.numel() + 1));
  auto zero = at::bucketize(at::zeros({1}, edges.options()), edges, /*out_int32=*/false, /*right=*/true);
  binned.index_add_(0, zero, strays.neg().reshape({1}));
  const double inf = std::numeric_limits<double>::infinity();
  row[not_finite].add_(strays);
  row[minimum].copy_(at::where(finite, x, inf).min().to(at::kDouble).minimum(row[minimum]));
  row[maximum].copy_(at::where(finite, x, -inf).max().to(at::kDouble).maximum(row[maximum]));
  auto exact = y.to(at::kDouble);
  row[sum].add_(exact.sum());
  row[sum_squares].add_(exact.dot(exact));
}

at::Tensor histogram(const at::Tensor& t, const at::Tensor& edges) {
  auto row = at::zeros({counts + edges.numel() + 1}, edges.options().dtype(at::kDouble));
  row[minimum].fill_(std::numeric_limits<double>::infinity());
  row[maximum].fill_(-std::numeric_limits<double>::infinity());
  auto flat = t.detach().reshape(-1);
  for (int64_t start = 0; start < flat.numel(); start += piece)
    add(flat.narrow(0, start, std::min(piece, flat.numel() - start)).to(at::kFloat), edges, row);
  return row;
}

}  // namespace

const char* ft_histogram(const ft_tensor* tensors, size_t n, ft_tensor edges, ft_tensor* out) {
  FT_GUARD(c10::NoGradGuard ungraded; std::vector<at::Tensor> rows; for (auto& t : list(tensors, n)) rows.push_back(histogram(t, get(edges)));
           *out = give(at::stack(rows)))
}
