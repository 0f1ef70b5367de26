// Loops of our own where libtorch's operations would go over memory several times: GELU, sums of fp32 and a half precision, the sums of
// a bias's gradient, the norm of all gradients. On a CPU; cards get the same from libtorch's operations. Each result is the same for
// any number of threads.
#include "kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "lanes.h"

using namespace ft;

namespace {

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

// sum = a + b in fp32; sum may be a.
template <int N, class T>
FT_INLINE void add_widened_for(const float* a, const T* b, float* sum, int64_t from, int64_t to) {
  Vec<N> x, y;
  for (int64_t i = from; i < to; i += N) {
    bool whole = i + N <= to;
    whole ? x.load(a + i) : x.load_some(a + i, to - i, 0);
    whole ? y.load(b + i) : y.load_some(b + i, to - i, 0);
    x.v += y.v;
    whole ? x.store(sum + i) : x.store_some(sum + i, to - i);
  }
}
FT_TARGETS(add_widened, void, (const float* a, const T* b, float* sum, int64_t from, int64_t to), (a, b, sum, from, to))

void add_widened_into(const at::Tensor& a, const at::Tensor& b, at::Tensor& sum) {
  const float* p = a.const_data_ptr<float>();
  float* s = sum.mutable_data_ptr<float>();
  FT_DISPATCH(b.scalar_type(), [&] {
    auto run = ::add_widened<T>();
    const T* q = b.const_data_ptr<T>();
    at::parallel_for(0, a.numel(), kElements, [&](int64_t from, int64_t to) { run(p, q, s, from, to); });
  });
}

// Whether fp32 a and b of any type can be gone through side by side here.
bool side_by_side(const at::Tensor& a, const at::Tensor& b) {
  return a.is_cpu() && b.is_cpu() && a.scalar_type() == at::kFloat && a.is_contiguous() && b.is_contiguous() && a.sizes() == b.sizes();
}

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

constexpr int64_t kUnroll = 4;  // vectors in flight
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

}  // namespace

namespace ft {

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

at::Tensor add_widened(const at::Tensor& x, const at::Tensor& y) {
  if (!side_by_side(x, y)) return at::add(x, y);
  at::Tensor sum = at::empty_like(x);
  add_widened_into(x, y, sum);
  return sum;
}

void add_widened_(at::Tensor& sum, const at::Tensor& x) { side_by_side(sum, x) ? add_widened_into(sum, x, sum) : void(sum.add_(x)); }

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
