// Histograms on the device where the tensors lie: what crosses to the host is a row of numbers a tensor.
#include "guard.h"

#include <c10/core/GradMode.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>

using namespace ft;

namespace {

constexpr int64_t piece = 1 << 20;  // elements at a time, so that what lies in between stays below 20 MB
constexpr int64_t not_finite = 0, minimum = 1, maximum = 2, sum = 3, sum_squares = 4, counts = 5;  // of a row

// Where a float32 falls, from its upper 16 bits: they leave 1/128 of its size open, so that one comparison with one edge is
// left to do. A binary search among 1,500 edges takes seven times as long on a CPU.
struct Bins {
  at::Tensor edges, upper, first;  // upper: edges, then +inf; first: the bin of the least float32 with these bits

  explicit Bins(const at::Tensor& e) : edges(e), upper(at::constant_pad_nd(e, {0, 1}, std::numeric_limits<double>::infinity())) {
    auto bits = at::arange(1 << 16, e.options().dtype(at::kInt)).bitwise_left_shift(16);
    auto rest = bits.bitwise_or(0xffff), negative = bits.lt(0);
    first = bin(at::where(negative, rest, bits));
    auto last = bin(at::where(negative, bits, rest));
    TORCH_CHECK(last.sub(first).max().item<int64_t>() <= 1, "the edges of a histogram must be 1% apart");
  }

  // Of floats given as their bits, by search.
  at::Tensor bin(const at::Tensor& bits) const {
    auto x = at::nan_to_num(bits.view(at::kFloat), 0.0);
    return at::bucketize(x, edges, /*out_int32=*/true, /*right=*/true);
  }

  at::Tensor operator()(const at::Tensor& x) const {
    auto bin = first.index_select(0, x.view(at::kInt).bitwise_right_shift(16).bitwise_and(0xffff));
    return bin.add_(x.ge(upper.index_select(0, bin)));
  }
};

// Adds the elements of x, float32 and at least one, to a row that began with zeros, +inf and -inf.
void add(const at::Tensor& x, const Bins& bins, const at::Tensor& row) {
  auto finite = at::isfinite(x);
  auto y = at::where(finite, x, 0.0);  // one that is not finite passes for 0 until the count of zeros is put right
  auto strays = at::where(finite, 0.0, 1.0).sum(at::kDouble);
  auto binned = row.narrow(0, counts, bins.upper.numel());
  binned.add_(at::bincount(bins(y), {}, bins.upper.numel()));
  binned.index_add_(0, bins(at::zeros({1}, y.options())), strays.neg().reshape({1}));
  const double inf = std::numeric_limits<double>::infinity();
  row[not_finite].add_(strays);
  row[minimum].copy_(at::where(finite, x, inf).min().to(at::kDouble).minimum(row[minimum]));
  row[maximum].copy_(at::where(finite, x, -inf).max().to(at::kDouble).maximum(row[maximum]));
  auto exact = y.to(at::kDouble);
  row[sum].add_(exact.sum());
  row[sum_squares].add_(exact.dot(exact));
}

at::Tensor histogram(const at::Tensor& t, const Bins& bins) {
  auto row = at::zeros({counts + bins.upper.numel()}, t.options().dtype(at::kDouble));
  row[minimum].fill_(std::numeric_limits<double>::infinity());
  row[maximum].fill_(-std::numeric_limits<double>::infinity());
  auto flat = t.detach().reshape(-1);
  for (int64_t start = 0; start < flat.numel(); start += piece)
    add(flat.narrow(0, start, std::min(piece, flat.numel() - start)).to(at::kFloat), bins, row);
  return row;
}

}  // namespace

const char* ft_histogram(const ft_tensor* tensors, size_t n, ft_tensor edges, ft_tensor* out) {
  FT_GUARD(c10::NoGradGuard ungraded; Bins bins(get(edges)); std::vector<at::Tensor> rows;
           for (auto& t : list(tensors, n)) rows.push_back(histogram(t, bins));
           *out = give(at::stack(rows)))
}
