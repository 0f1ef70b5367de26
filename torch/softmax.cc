// Softmax in one place where libtorch's operations would go over memory several times: the head's loss with its gradient, and attention's
// probabilities. On a CPU; cards get the same from libtorch's operations. Each result is the same for any number of threads.
#include "kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>

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

// Σ e^(z - top). Unless e is null, the terms stay there; it may be z.
template <int N, class T>
FT_INLINE float sum_of_exp(const T* z, float* e, int64_t n, float top) {
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
      if (e != nullptr) x.store(e + i + j * N);
    }
  }
  for (; i < n; i += N) {
    x.load_some(z + i, n - i, -INFINITY);
    x.v -= top;
    x.exp();
    sum[0].v += x.v;
    if (e != nullptr) x.store_some(e + i, std::min<int64_t>(N, n - i));
  }
  sum[0].v = (sum[0].v + sum[1].v) + (sum[2].v + sum[3].v);
  return sum[0].total();
}

// y = e · factor; y may be e.
template <int N, class Y>
FT_INLINE void scaled(const float* e, Y* y, int64_t n, float factor) {
  Vec<N> x;
  int64_t i = 0;
  for (; i + N <= n; i += N) {
    x.load(e + i);
    x.v *= factor;
    x.store(y + i);
  }
  if (i < n) {
    x.load_some(e + i, n - i, 0);
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
FT_INLINE void entropy_row(const Entropy& e, float* terms, int64_t row) {
  const T* z = static_cast<const T*>(e.logits) + row * e.classes;
  Y* g = e.gradient == nullptr ? nullptr : static_cast<Y*>(e.gradient) + row * e.classes;
  int64_t target = e.targets[row];
  if (target < 0) {
    e.losses[row] = 0;
    if (g != nullptr) std::memset(static_cast<void*>(g), 0, e.classes * sizeof(Y));
    return;
  }
  if constexpr (std::is_same_v<Y, float>) terms = g;  // in fp32 they can lie where the gradient will
  float top = largest<N>(z, e.classes), at = widen(z[target]) - top, sum = sum_of_exp<N>(z, terms, e.classes, top);
  e.losses[row] = std::log(sum) - at;
  if (g == nullptr) return;
  scaled<N>(terms, g, e.classes, e.weight / sum);
  g[target] = static_cast<Y>((std::exp(at) / sum - 1) * e.weight);
}

template <int N, class T>
FT_INLINE void entropy_for(const Entropy& e, float* terms, int64_t from, int64_t to) {
  for (int64_t row = from; row < to; row++) e.in_place ? entropy_row<N, T, T>(e, terms, row) : entropy_row<N, T, float>(e, terms, row);
}
FT_TARGETS(entropy, void, (const Entropy& e, float* terms, int64_t from, int64_t to), (e, terms, from, to))

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
  if (scores.numel() == 0) return;
  auto run = FT_DISPATCH(scores.scalar_type(), [&] { return causal_softmax<T>(); });
  at::parallel_for(0, scores.numel() / scores.size(-1), 16,
                   [&](int64_t from, int64_t to) { run(scores.mutable_data_ptr(), scores.size(-1), static_cast<float>(scale), from, to); });
}

void causal_softmax_backward_(at::Tensor& gradient, const at::Tensor& probabilities, double scale) {
  if (gradient.numel() == 0) return;
  auto run = FT_DISPATCH(gradient.scalar_type(), [&] { return causal_softmax_backward<T>(); });
  at::parallel_for(0, gradient.numel() / gradient.size(-1), 16, [&](int64_t from, int64_t to) {
    run(gradient.mutable_data_ptr(), probabilities.const_data_ptr(), gradient.size(-1), static_cast<float>(scale), from, to);
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
    at::parallel_for(0, targets.numel(), 1, [&](int64_t from, int64_t to) {
      bool own = in_place && logits.scalar_type() != at::kFloat;  // half precision has no place for a row's exponentials
      std::unique_ptr<float[]> terms(own ? new float[e.classes] : nullptr);
      run(e, terms.get(), from, to);
    });
    double sum = 0;
    for (int64_t i = 0; i < targets.numel(); i++) sum += e.losses[i];
    get(loss_sum_).add_(sum);
  })
}
