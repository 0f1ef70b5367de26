// Loops of our own where libtorch's operations would go over memory several times: the head's loss and gradient, attention's
// softmax, GELU, the sums of a bias's gradient, the norm of all gradients. On a CPU; cards get the same from libtorch's operations.
// Each result is the same for any number of threads.
#include "kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "lanes.h"

using namespace ft;

namespace {

constexpr int64_t kUnroll = 4;  // vectors in flight

// The largest of n numbers.
template <int N, class T>
FT_INLINE float largest(const T* z, int64_t n) {
  Vec<N> top[kUnroll], x;
  for (auto& t : top) t.v = typename Vec<N>::F{} - INFINITY;
  int64_t i = 0;
  for (; i + kUnroll * N <= n; i += kUnroll * N) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < kUnroll; j++) {
      x.load(z + i + j * N);
      top[j].raise(x);
    }
  }
  for (; i < n; i += N) {
    x.load_some(z + i, n - i, -INFINITY);
    top[0].raise(x);
  }
  for (int64_t j = 1; j < kUnroll; j++) top[0].raise(top[j]);
  return top[0].largest();
}

// Σ e^(z - top).
template <int N, class T>
FT_INLINE float sum_of_exp(const T* z, int64_t n, float top) {
  Vec<N> sum[kUnroll], x;
  for (auto& s : sum) s.v = typename Vec<N>::F{};
  int64_t i = 0;
  for (; i + kUnroll * N <= n; i += kUnroll * N) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < kUnroll; j++) {
      x.load(z + i + j * N);
      x.v -= top;
      x.exp();
      sum[j].v += x.v;
    }
  }
  for (; i < n; i += N) {
    x.load_some(z + i, n - i, -INFINITY);
    x.v -= top;
    x.exp();
    sum[0].v += x.v;
  }
  sum[0].v = (sum[0].v + sum[1].v) + (sum[2].v + sum[3].v);
  return sum[0].total();
}

// y = e^(z - top) · factor; y may be z.
template <int N, class T, class Y>
FT_INLINE void scaled_exp(const T* z, Y* y, int64_t n, float top, float factor) {
  Vec<N> x;
  int64_t i = 0;
  for (; i + N <= n; i += N) {
    x.load(z + i);
    x.v -= top;
    x.exp();
    x.v *= factor;
    x.store(y + i);
  }
  if (i < n) {
    x.load_some(z + i, n - i, -INFINITY);
    x.v -= top;
    x.exp();
    x.v *= factor;
    x.store_some(y + i, n - i);
  }
}

struct Entropy {
  const void* logits;
  void* gradient;  // or null; of float, or of the logits' type and then in their place
  bool in_place;
  const int64_t* targets;
  float* losses;
  int64_t classes;
  float weight;
};

template <int N, class T, class Y>
FT_INLINE void entropy_row(const Entropy& e, int64_t row) {
  const T* z = static_cast<const T*>(e.logits) + row * e.classes;
  Y* g = e.gradient == nullptr ? nullptr : static_cast<Y*>(e.gradient) + row * e.classes;
  int64_t target = e.targets[row];
  if (target < 0) {
    e.losses[row] = 0;
    if (g != nullptr) std::memset(static_cast<void*>(g), 0, e.classes * sizeof(Y));
    return;
  }
  float top = largest<N>(z, e.classes), sum = sum_of_exp<N>(z, e.classes, top), at = widen(z[target]) - top;
  e.losses[row] = std::log(sum) - at;
  if (g == nullptr) return;
  scaled_exp<N>(z, g, e.classes, top, e.weight / sum);
  g[target] = static_cast<Y>((std::exp(at) / sum - 1) * e.weight);
}

template <int N, class T>
FT_INLINE void entropy_for(const Entropy& e, int64_t from, int64_t to) {
  for (int64_t row = from; row < to; row++) e.in_place ? entropy_row<N, T, T>(e, row) : entropy_row<N, T, float>(e, row);
}
FT_TARGETS(entropy, void, (const Entropy& e, int64_t from, int64_t to), (e, from, to))

// Row t of a [T, T] matrix of scores sees its first t + 1.
template <int N, class T>
FT_INLINE void causal_softmax_for(void* scores, int64_t length, float scale, int64_t from, int64_t to) {
  for (int64_t row = from; row < to; row++) {
    T* s = static_cast<T*>(scores) + row * length;
    int64_t seen = row % length + 1;
    Vec<N> x;
    float top = largest<N>(s, seen), sum = 0;
    Vec<N> sums{};
    float p[64 * N];  // a piece in fp32, so that rounding comes once, at the end, where a row fits
    bool fits = seen <= 64 * N;
    for (int64_t i = 0; i < seen; i += N) {
      x.load_some(s + i, std::min<int64_t>(N, seen - i), -INFINITY);
      x.v = (x.v - top) * scale;
      x.exp();
      sums.v += x.v;
      if (fits) x.store(p + i);
    }
    sum = 1 / sums.total();
    for (int64_t i = 0; i < seen; i += N) {
      int64_t n = std::min<int64_t>(N, seen - i);
      if (fits) {
        x.load(p + i);
      } else {
        x.load_some(s + i, n, -INFINITY);
        x.v = (x.v - top) * scale;
        x.exp();
      }
      x.v *= sum;
      n == N ? x.store(s + i) : x.store_some(s + i, n);
    }
    std::memset(static_cast<void*>(s + seen), 0, (length - seen) * sizeof(T));
  }
}
FT_TARGETS(causal_softmax, void, (void* scores, int64_t length, float scale, int64_t from, int64_t to), (scores, length, scale, from, to))

// gradient = scale · p · (gradient - Σ p · gradient), row by row.
template <int N, class T>
FT_INLINE void causal_softmax_backward_for(void* gradient, const void* probabilities, int64_t length, float scale, int64_t from, int64_t to) {
  for (int64_t row = from; row < to; row++) {
    T* g = static_cast<T*>(gradient) + row * length;
    const T* p = static_cast<const T*>(probabilities) + row * length;
    int64_t seen = row % length + 1;
    Vec<N> a, b, sums{};
    int64_t i = 0;
    for (; i + N <= seen; i += N) {
      a.load(p + i);
      b.load(g + i);
      sums.v += a.v * b.v;
    }
    if (i < seen) {
      a.load_some(p + i, seen - i, 0);
      b.load_some(g + i, seen - i, 0);
      sums.v += a.v * b.v;
    }
    float sum = sums.total();
    for (i = 0; i + N <= seen; i += N) {
      a.load(p + i);
      b.load(g + i);
      a.v *= (b.v - sum) * scale;
      a.store(g + i);
    }
    if (i < seen) {
      a.load_some(p + i, seen - i, 0);
      b.load_some(g + i, seen - i, 0);
      a.v *= (b.v - sum) * scale;
      a.store_some(g + i, seen - i);
    }
    std::memset(static_cast<void*>(g + seen), 0, (length - seen) * sizeof(T));
  }
}
FT_TARGETS(causal_softmax_backward, void, (void* gradient, const void* probabilities, int64_t length, float scale, int64_t from, int64_t to),
           (gradient, probabilities, length, scale, from, to))

// 0.5(1 + tanh u) = 1/(1 + e^(-2u)) with u = √(2/π)(x + 0.044715x³).
template <int N>
FT_INLINE Vec<N> gelu_gate(const Vec<N>& x) {
  Vec<N> e{(x.v * x.v * 0.044715f + 1.f) * x.v * -1.5957691216057308f};
  e.exp();
  e.v = 1.f / (1.f + e.v);
  return e;
}

template <int N, class T>
FT_INLINE void gelu_tanh_for(const void* x_, void* y_, int64_t from, int64_t to) {
  const T* x = static_cast<const T*>(x_);
  T* y = static_cast<T*>(y_);
  Vec<N> a;
  for (int64_t i = from; i < to; i += N) {
    bool whole = i + N <= to;
    whole ? a.load(x + i) : a.load_some(x + i, to - i, 0);
    a.v *= gelu_gate(a).v;
    whole ? a.store(y + i) : a.store_some(y + i, to - i);
  }
}
FT_TARGETS(gelu_tanh, void, (const void* x, void* y, int64_t from, int64_t to), (x, y, from, to))

// dx = dy (g + x g (1 - g) · 2u'), where g is the gate and 2u' = 2√(2/π)(1 + 3 · 0.044715x²).
template <int N, class T>
FT_INLINE void gelu_tanh_backward_for(const void* x_, const void* dy_, void* dx_, int64_t from, int64_t to) {
  const T *x = static_cast<const T*>(x_), *dy = static_cast<const T*>(dy_);
  T* dx = static_cast<T*>(dx_);
  Vec<N> a, d;
  for (int64_t i = from; i < to; i += N) {
    bool whole = i + N <= to;
    whole ? a.load(x + i) : a.load_some(x + i, to - i, 0);
    whole ? d.load(dy + i) : d.load_some(dy + i, to - i, 0);
    Vec<N> g = gelu_gate(a);
    d.v *= g.v + a.v * g.v * (1.f - g.v) * (a.v * a.v * 0.2140644488f + 1.5957691216f);
    whole ? d.store(dx + i) : d.store_some(dx + i, to - i);
  }
}
FT_TARGETS(gelu_tanh_backward, void, (const void* x, const void* dy, void* dx, int64_t from, int64_t to), (x, dy, dx, from, to))

constexpr int64_t kElements = 1 << 13;  // of an elementwise loop that are worth a thread

constexpr int64_t kColumns = 64;  // a multiple of every N
constexpr int64_t kRows = 256;    // rows whose sum is made before it is added to the rest: rounding grows with the smaller counts

// sums[c] (+)= Σ over rows of g[row][c], for kColumns columns from c on.
template <int N, class T>
FT_INLINE void column_sums_for(const void* g, float* sums, int64_t rows, int64_t width, bool accumulate, int64_t c) {
  int64_t n = std::min(kColumns, width - c);
  float total[kColumns] = {};
  for (int64_t first = 0; first < rows; first += kRows) {
    Vec<N> part[kColumns / N] = {}, x;
    for (int64_t row = first; row < std::min(rows, first + kRows); row++) {
      const T* p = static_cast<const T*>(g) + row * width + c;
      if (n == kColumns) {
#pragma GCC unroll 16
        for (int64_t j = 0; j < kColumns / N; j++) {
          x.load(p + j * N);
          part[j].v += x.v;
        }
      } else {
        for (int64_t j = 0; j * N < n; j++) {
          x.load_some(p + j * N, n - j * N, 0);
          part[j].v += x.v;
        }
      }
    }
    for (int64_t j = 0; j < kColumns / N; j++) {
      for (int64_t i = 0; i < N; i++) total[j * N + i] += part[j].v[i];
    }
  }
  for (int64_t j = 0; j < n; j++) sums[c + j] = accumulate ? sums[c + j] + total[j] : total[j];
}
FT_TARGETS(column_sums, void, (const void* g, float* sums, int64_t rows, int64_t width, bool accumulate, int64_t c), (g, sums, rows, width, accumulate, c))

// sums[ids[i]] += rows[i] in the order of i, for the columns [from, to).
template <int N, class T>
FT_INLINE void add_rows_for(float* sums, const int64_t* ids, const T* rows, int64_t count, int64_t width, int64_t from, int64_t to) {
  for (int64_t i = 0; i < count; i++) {
    float* s = sums + ids[i] * width;
    const T* r = rows + i * width;
    Vec<N> a, b;
    int64_t c = from;
    for (; c + N <= to; c += N) {
      a.load(s + c);
      b.load(r + c);
      a.v += b.v;
      a.store(s + c);
    }
    for (; c < to; c++) s[c] += widen(r[c]);
  }
}
FT_TARGETS(add_rows, void, (float* sums, const int64_t* ids, const T* rows, int64_t count, int64_t width, int64_t from, int64_t to),
           (sums, ids, rows, count, width, from, to))

constexpr int64_t kPiece = 1 << 16;  // numbers whose squares are one thread's work

// The sum of squares of n ≤ kPiece numbers: in fp32 over 1,024, in fp64 beyond.
template <int N, class T>
FT_INLINE double squares_for(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t first = 0; first < n; first += 1024) {
    int64_t last = std::min(n, first + 1024), i = first;
    Vec<N> part[kUnroll] = {}, a;
    for (; i + kUnroll * N <= last; i += kUnroll * N) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < kUnroll; j++) {
        a.load(x + i + j * N);
        part[j].v += a.v * a.v;
      }
    }
    for (; i < last; i += N) {
      a.load_some(x + i, last - i, 0);
      part[0].v += a.v * a.v;
    }
    part[0].v = (part[0].v + part[1].v) + (part[2].v + part[3].v);
    sum += part[0].total();
  }
  return sum;
}
FT_TARGETS(squares, double, (const T* x, int64_t n), (x, n))

double norm_on_cpu(const at::Tensor& x) {
  auto piece = squares<float>();
  const float* p = x.const_data_ptr<float>();
  int64_t n = x.numel(), pieces = (n + kPiece - 1) / kPiece;
  std::vector<double> sums(pieces);
  at::parallel_for(0, pieces, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) sums[i] = piece(p + i * kPiece, std::min(kPiece, n - i * kPiece));
  });
  double sum = 0;
  for (double s : sums) sum += s;
  return std::sqrt(sum);
}

// The same on a card, from libtorch's operations.
void entropy_on_card(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weight, at::Tensor& loss_sum, at::Tensor& gradient) {
  at::Tensor valid = targets.ge(0).to(at::kFloat), target = targets.clamp_min(0).unsqueeze(1);
  at::Tensor logs = at::log_softmax(logits, -1, at::kFloat);
  loss_sum.sub_(logs.gather(1, target).squeeze(1).mul_(valid).sum(at::kDouble));
  if (!gradient.defined()) return;
  logs.exp_().scatter_add_(1, target, at::zeros({target.size(0), 1}, logs.options()).sub_(1));
  logs.mul_(valid.mul_(weight).unsqueeze(1));
  gradient.copy_(logs);
}

}  // namespace

namespace ft {

void causal_softmax_(at::Tensor& scores, double scale) {
  auto run = FT_DISPATCH(scores.scalar_type(), [&] { return causal_softmax<T>(); });
  at::parallel_for(0, scores.numel() / scores.size(-1), 16,
                   [&](int64_t from, int64_t to) { run(scores.mutable_data_ptr(), scores.size(-1), static_cast<float>(scale), from, to); });
}

void causal_softmax_backward_(at::Tensor& gradient, const at::Tensor& probabilities, double scale) {
  auto run = FT_DISPATCH(gradient.scalar_type(), [&] { return causal_softmax_backward<T>(); });
  at::parallel_for(0, gradient.numel() / gradient.size(-1), 16, [&](int64_t from, int64_t to) {
    run(gradient.mutable_data_ptr(), probabilities.const_data_ptr(), gradient.size(-1), static_cast<float>(scale), from, to);
  });
}

at::Tensor gelu_tanh(const at::Tensor& x) {
  at::Tensor y = at::empty_like(x);
  auto run = FT_DISPATCH(x.scalar_type(), [&] { return ::gelu_tanh<T>(); });
  at::parallel_for(0, x.numel(), kElements, [&](int64_t from, int64_t to) { run(x.const_data_ptr(), y.mutable_data_ptr(), from, to); });
  return y;
}

at::Tensor gelu_tanh_backward(const at::Tensor& dy, const at::Tensor& x) {
  at::Tensor dx = at::empty_like(x);
  auto run = FT_DISPATCH(x.scalar_type(), [&] { return ::gelu_tanh_backward<T>(); });
  at::parallel_for(0, x.numel(), kElements, [&](int64_t from, int64_t to) { run(x.const_data_ptr(), dy.const_data_ptr(), dx.mutable_data_ptr(), from, to); });
  return dx;
}

void add_column_sums_(at::Tensor& sums, const at::Tensor& rows, bool accumulate) {
  if (!rows.is_cpu() || !rows.is_contiguous() || !sums.is_contiguous()) {
    at::Tensor s = rows.sum(at::IntArrayRef{0}, false, at::kFloat);
    accumulate ? sums.add_(s) : sums.copy_(s);
    return;
  }
  auto run = FT_DISPATCH(rows.scalar_type(), [&] { return column_sums<T>(); });
  int64_t width = rows.size(1), blocks = (width + kColumns - 1) / kColumns;
  at::parallel_for(0, blocks, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) run(rows.const_data_ptr(), sums.mutable_data_ptr<float>(), rows.size(0), width, accumulate, i * kColumns);
  });
}

}  // namespace ft

const char* ft_cross_entropy(ft_tensor logits_, ft_tensor targets_, ft_tensor weight_, ft_tensor loss_sum_, ft_tensor gradient_) {
  FT_GUARD({
    at::Tensor logits = get(logits_), targets = get(targets_), gradient;
    if (gradient_ != nullptr) gradient = get(gradient_);
    TORCH_CHECK(logits.dim() == 2 && logits.is_contiguous() && targets.dim() == 1 && targets.size(0) == logits.size(0) && targets.scalar_type() == at::kLong,
                "logits ", logits.sizes(), " and targets ", targets.sizes(), " do not fit");
    if (!logits.is_cpu()) {
      entropy_on_card(logits, targets, weight_ == nullptr ? at::Tensor() : get(weight_), get(loss_sum_), gradient);
      return nullptr;
    }
    bool in_place = gradient.defined() && gradient.is_same(logits);
    TORCH_CHECK(!gradient.defined() || in_place || (gradient.scalar_type() == at::kFloat && gradient.is_contiguous() && gradient.sizes() == logits.sizes()),
                "the gradient has to be the logits or of fp32");
    targets = targets.contiguous();
    at::Tensor losses = at::empty(targets.sizes(), logits.options().dtype(at::kFloat));
    Entropy e{logits.const_data_ptr(), gradient.defined() ? gradient.mutable_data_ptr() : nullptr, in_place, targets.const_data_ptr<int64_t>(),
              losses.mutable_data_ptr<float>(), logits.size(1), gradient.defined() ? get(weight_).item<float>() : 0};
    int64_t highest = targets.numel() > 0 ? targets.max().item<int64_t>() : 0;
    TORCH_CHECK_INDEX(highest < e.classes, "target ", highest, " is out of range of ", e.classes, " classes");
    auto run = FT_DISPATCH(logits.scalar_type(), [&] { return entropy<T>(); });
    at::parallel_for(0, targets.numel(), 1, [&](int64_t from, int64_t to) { run(e, from, to); });
    double sum = 0;
    for (int64_t i = 0; i < targets.numel(); i++) sum += e.losses[i];
    get(loss_sum_).add_(sum);
  })
}

const char* ft_add_rows_(ft_tensor sums_, ft_tensor ids_, ft_tensor rows_) {
  FT_GUARD({
    at::Tensor sums = get(sums_), ids = get(ids_).reshape({-1}), rows = get(rows_).reshape({-1, get(rows_).size(-1)});
    TORCH_CHECK(sums.dim() == 2 && rows.size(0) == ids.size(0) && rows.size(1) == sums.size(1), "rows ", rows.sizes(), " do not fit ", sums.sizes());
    if (!sums.is_cpu()) {
      sums.index_put_({ids}, rows, /*accumulate=*/true);
      return nullptr;
    }
    TORCH_CHECK(sums.is_contiguous() && sums.scalar_type() == at::kFloat && rows.scalar_type() == at::kFloat && ids.scalar_type() == at::kLong,
                "rows are added in fp32, by int64 ids");
    ids = ids.contiguous();
    rows = rows.contiguous();
    for (int64_t i = 0; i < ids.numel(); i++) {
      TORCH_CHECK_INDEX(ids.const_data_ptr<int64_t>()[i] >= 0 && ids.const_data_ptr<int64_t>()[i] < sums.size(0), "id ", ids.const_data_ptr<int64_t>()[i], " is out of range");
    }
    auto run = add_rows<float>();
    int64_t width = sums.size(1), blocks = (width + kColumns - 1) / kColumns;
    at::parallel_for(0, blocks, 1, [&](int64_t from, int64_t to) {
      run(sums.mutable_data_ptr<float>(), ids.const_data_ptr<int64_t>(), rows.const_data_ptr<float>(), ids.numel(), width, from * kColumns,
          std::min(width, to * kColumns));
    });
  })
}

const char* ft_norm(ft_tensor x_, ft_tensor* out) {
  FT_GUARD({
    at::Tensor x = get(x_);
    if (x.is_cpu() && x.is_contiguous() && x.scalar_type() == at::kFloat) {
      *out = give(at::empty({}, x.options()).fill_(norm_on_cpu(x)));
    } else {
      *out = give(at::stack(at::_foreach_norm(x.flatten().split(16 * kPiece))).norm());
    }
  })
}
