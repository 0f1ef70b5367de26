// What a transformer computes for a few rows, for generating text. Memory, not arithmetic, limits the product of a row with a
// matrix, and BLAS reads the matrix at half the memory's speed or less. Each element of a result is one sum in a fixed order,
// whatever the number of rows and of threads, so that a text does not depend on what it is generated beside.
#include "guard.h"
#include "lanes.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cmath>
#include <vector>

using namespace ft;

namespace {

constexpr int64_t kStreams = 8;           // places of the matrix that are read at once, far apart: as many as prefetchers follow
constexpr int64_t kRowsAtOnce = 32;       // rows of x whose sums are kept in the first cache
constexpr int64_t kSums = 4096;           // as many sums
constexpr int64_t kGrain = 1 << 16;       // elements of the matrix that are worth a thread

// A product x·w + bias. w is [inputs, outputs] with rows (by_inputs) or columns that lie together, at a distance of stride.
struct Product {
  const float* x;
  const void* w;
  const void* bias;  // or null
  float* y;
  int64_t rows, inputs, outputs, stride;
};

// Adds K rows of w, row k and those at the distance apart, to the sums of R rows of x in the columns [from, to).
template <int N, int R, int K, class T>
FT_INLINE void add_rows(const Product& p, int64_t row, int64_t k, int64_t apart, int64_t from, int64_t to) {
  const T* w = static_cast<const T*>(p.w) + k * p.stride;
  const float* x = p.x + row * p.inputs + k;
  float* y = p.y + row * p.outputs;
  int64_t c = from;
  for (; c + N <= to; c += N) {
    Vec<N> m[K];
#pragma GCC unroll 8
    for (int i = 0; i < K; i++) m[i].load(w + i * apart * p.stride + c);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      Vec<N> sum;
      sum.load(y + r * p.outputs + c);
#pragma GCC unroll 8
      for (int i = 0; i < K; i++) sum.v += m[i].v * x[r * p.inputs + i * apart];
      sum.store(y + r * p.outputs + c);
    }
  }
  for (; c < to; c++) {
    for (int r = 0; r < R; r++) {
      float sum = y[r * p.outputs + c];
      for (int i = 0; i < K; i++) sum += widen(w[i * apart * p.stride + c]) * x[r * p.inputs + i * apart];
      y[r * p.outputs + c] = sum;
    }
  }
}

template <int N, int K, class T>
FT_INLINE void add_block(const Product& p, int64_t first, int64_t last, int64_t k, int64_t apart, int64_t from, int64_t to) {
  int64_t row = first;
  for (; row + 4 <= last; row += 4) add_rows<N, 4, K, T>(p, row, k, apart, from, to);
  for (; row < last; row++) add_rows<N, 1, K, T>(p, row, k, apart, from, to);
}

// The columns [from, to) of a matrix whose rows lie together.
template <int N, class T>
FT_INLINE void by_inputs(const Product& p, int64_t from, int64_t to) {
  const T* bias = static_cast<const T*>(p.bias);
  for (int64_t first = 0; first < p.rows; first += kRowsAtOnce) {
    int64_t last = std::min(p.rows, first + kRowsAtOnce);
    int64_t width = kSums / (last - first) / 64 * 64;
    for (int64_t start = from; start < to; start += width) {
      int64_t end = std::min(to, start + width);
      for (int64_t row = first; row < last; row++) {
        for (int64_t c = start; c < end; c++) p.y[row * p.outputs + c] = bias == nullptr ? 0 : widen(bias[c]);
      }
      int64_t apart = p.inputs / kStreams;
      for (int64_t k = 0; k < apart; k++) add_block<N, kStreams, T>(p, first, last, k, apart, start, end);
      for (int64_t k = apart * kStreams; k < p.inputs; k++) add_block<N, 1, T>(p, first, last, k, 0, start, end);
    }
  }
}

// R rows of x by C columns of w that lie together, column c and those at the distance apart.
template <int N, int R, int C, class T>
FT_INLINE void dot(const Product& p, int64_t row, int64_t c, int64_t apart) {
  const T* w = static_cast<const T*>(p.w) + c * p.stride;
  const float* x = p.x + row * p.inputs;
  Vec<N> sums[R][C];
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int i = 0; i < C; i++) sums[r][i].v = typename Vec<N>::F{};
  }
  int64_t k = 0;
  for (; k + N <= p.inputs; k += N) {
    Vec<N> m[C];
#pragma GCC unroll 8
    for (int i = 0; i < C; i++) m[i].load(w + i * apart * p.stride + k);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      Vec<N> v;
      v.load(x + r * p.inputs + k);
#pragma GCC unroll 8
      for (int i = 0; i < C; i++) sums[r][i].v += m[i].v * v.v;
    }
  }
  const T* bias = static_cast<const T*>(p.bias);
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < C; i++) {
      float sum = bias == nullptr ? 0 : widen(bias[c + i * apart]);
      sum += sums[r][i].total();
      for (int64_t j = k; j < p.inputs; j++) sum += widen(w[i * apart * p.stride + j]) * x[r * p.inputs + j];
      p.y[(row + r) * p.outputs + c + i * apart] = sum;
    }
  }
}

template <int N, int C, class T>
FT_INLINE void dots(const Product& p, int64_t c, int64_t apart) {
  constexpr int half = C < 4 ? 1 : 4;  // with several rows there are not registers enough for more
  int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) {
    for (int i = 0; i < C; i += half) dot<N, 4, half, T>(p, row, c + i * apart, apart);
  }
  for (; row < p.rows; row++) dot<N, 1, C, T>(p, row, c, apart);
}

// The columns [from, to) of a matrix whose columns lie together.
template <int N, class T>
FT_INLINE void by_outputs(const Product& p, int64_t from, int64_t to) {
  int64_t apart = (to - from) / kStreams;
  for (int64_t c = from; c < from + apart; c++) dots<N, kStreams, T>(p, c, apart);
  for (int64_t c = from + apart * kStreams; c < to; c++) dots<N, 1, T>(p, c, 0);
}

// Attention of T queries, the last of L positions, each of which sees itself and what is before it. Rows of size elements lie
// together; the strides are of sequence, head and position.
struct Heads {
  const float* q;  // [N, H, T, size], contiguous and scaled
  const void *k, *v;
  float* y;  // [N, T, H, size]
  int64_t heads, queries, positions, size;
  int64_t k_strides[3], v_strides[3];
};

// Adds p[j]·v[j] for K positions to the size sums of y.
template <int N, int K, class T>
FT_INLINE void add_values(float* y, const float* p, const T* v, int64_t stride, int64_t size) {
  int64_t c = 0;
  for (; c + N <= size; c += N) {
    Vec<N> sum, value;
    sum.load(y + c);
#pragma GCC unroll 4
    for (int j = 0; j < K; j++) {
      value.load(v + j * stride + c);
      sum.v += value.v * p[j];
    }
    sum.store(y + c);
  }
  for (; c < size; c++) {
    for (int j = 0; j < K; j++) y[c] += widen(v[j * stride + c]) * p[j];
  }
}

// softmax(q·kᵀ)·v for one query; p is room for as many numbers as it sees positions.
template <int N, class T>
FT_INLINE void query(const float* q, const T* k, int64_t k_stride, const T* v, int64_t v_stride, int64_t seen, int64_t size,
                                                 float* p, float* y) {
  float largest = -INFINITY;
  for (int64_t j = 0; j < seen; j++) {
    Vec<N> sum{}, a, b;
    int64_t c = 0;
    for (; c + N <= size; c += N) {
      a.load(q + c);
      b.load(k + j * k_stride + c);
      sum.v += a.v * b.v;
    }
    p[j] = sum.total();
    for (; c < size; c++) p[j] += q[c] * widen(k[j * k_stride + c]);
    largest = std::max(largest, p[j]);
  }
  float total = 0;
  for (int64_t j = 0; j < seen; j++) total += p[j] = std::exp(p[j] - largest);
  std::fill_n(y, size, 0.f);
  int64_t j = 0;
  for (; j + 4 <= seen; j += 4) add_values<N, 4>(y, p + j, v + j * v_stride, v_stride, size);
  for (; j < seen; j++) add_values<N, 1>(y, p + j, v + j * v_stride, v_stride, size);
  for (int64_t c = 0; c < size; c++) y[c] /= total;
}

// The queries [from, to), counted through sequences, heads and positions.
template <int N, class T>
FT_INLINE void queries_for(const Heads& h, int64_t from, int64_t to) {
  std::vector<float> p(h.positions);
  for (int64_t i = from; i < to; i++) {
    int64_t t = i % h.queries, head = i / h.queries % h.heads, n = i / h.queries / h.heads;
    query<N, T>(h.q + i * h.size, static_cast<const T*>(h.k) + n * h.k_strides[0] + head * h.k_strides[1], h.k_strides[2],
                static_cast<const T*>(h.v) + n * h.v_strides[0] + head * h.v_strides[1], h.v_strides[2], h.positions - h.queries + t + 1, h.size,
                p.data(), h.y + ((n * h.queries + t) * h.heads + head) * h.size);
  }
}

template <int N, class T>
FT_INLINE void columns_for(const Product& p, bool lie_together, int64_t from, int64_t to) {
  lie_together ? by_outputs<N, T>(p, from, to) : by_inputs<N, T>(p, from, to);
}
FT_TARGETS(columns, void, (const Product& p, bool lie_together, int64_t from, int64_t to), (p, lie_together, from, to))
FT_TARGETS(queries, void, (const Heads& h, int64_t from, int64_t to), (h, from, to))

at::Tensor linear_on_cpu(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  TORCH_CHECK(w.dim() == 2 && x.dim() >= 1 && x.size(-1) == w.size(0) && (w.stride(0) == 1 || w.stride(1) == 1) &&
                  (!bias.defined() || (bias.dim() == 1 && bias.size(0) == w.size(1) && bias.is_contiguous() && bias.scalar_type() == w.scalar_type())),
              "mat1 and mat2 shapes cannot be multiplied: rows ", x.sizes(), ", matrix ", w.sizes(), bias.defined() ? " with its bias" : "");
  // The rows are rounded to the matrix's precision, as autocast would, and widened again: sums are in fp32.
  at::Tensor rows = x.to(w.scalar_type()).to(at::kFloat).contiguous();
  auto shape = x.sizes().vec();
  shape.back() = w.size(1);
  at::Tensor y = at::empty(shape, rows.options());
  bool together = w.stride(1) != 1;
  Product p{rows.const_data_ptr<float>(), w.const_data_ptr(), bias.defined() ? bias.const_data_ptr() : nullptr, y.mutable_data_ptr<float>(),
            rows.numel() / w.size(0), w.size(0), w.size(1), together ? w.stride(1) : w.stride(0)};
  auto run = FT_DISPATCH(w.scalar_type(), [&] { return columns<T>(); });
  int64_t blocks = (p.outputs + 63) / 64;  // so that each thread's columns begin where those of a single one would be read as vectors too
  at::parallel_for(0, blocks, std::max<int64_t>(1, kGrain / (64 * p.inputs)), [&](int64_t first, int64_t last) {
    run(p, together, first * 64, std::min(p.outputs, last * 64));
  });
  return y.to(w.scalar_type());
}

at::Tensor attention_on_cpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4 && v.sizes() == k.sizes() && q.size(0) == k.size(0) && q.size(1) == k.size(1) && q.size(3) == k.size(3) &&
                  q.size(2) <= k.size(2) && k.stride(3) == 1 && v.stride(3) == 1 && k.scalar_type() == v.scalar_type(),
              "shapes of queries, keys and values do not fit: ", q.sizes(), ", ", k.sizes(), ", ", v.sizes());
  at::Tensor scaled = q.to(at::kFloat).mul(1 / std::sqrt(static_cast<double>(q.size(3)))).contiguous();
  at::Tensor y = at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, scaled.options());
  Heads h{scaled.const_data_ptr<float>(), k.const_data_ptr(), v.const_data_ptr(), y.mutable_data_ptr<float>(), q.size(1), q.size(2), k.size(2), q.size(3),
          {k.stride(0), k.stride(1), k.stride(2)}, {v.stride(0), v.stride(1), v.stride(2)}};
  auto run = FT_DISPATCH(k.scalar_type(), [&] { return queries<T>(); });
  at::parallel_for(0, q.size(0) * q.size(1) * q.size(2), std::max<int64_t>(1, kGrain / (2 * h.positions * h.size)), [&](int64_t from, int64_t to) { run(h, from, to); });
  return y.to(q.scalar_type()).transpose(1, 2);
}

at::Tensor attention_on_card(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TORCH_CHECK(q.size(2) == 1 || q.size(2) == k.size(2), "shapes of queries and keys do not fit: ", q.sizes(), ", ", k.sizes());
  return at::scaled_dot_product_attention(q, k, v, {}, 0, /*is_causal=*/q.size(2) > 1);
}

}  // namespace

const char* ft_attention_rows(ft_tensor q, ft_tensor k, ft_tensor v, ft_tensor* out) {
  FT_GUARD(*out = give(get(q).is_cpu() ? attention_on_cpu(get(q), get(k), get(v)) : attention_on_card(get(q), get(k), get(v))))
}

const char* ft_linear_rows(ft_tensor x, ft_tensor w, ft_tensor bias, ft_tensor* out) {
  FT_GUARD(at::Tensor b = bias == nullptr ? at::Tensor() : get(bias);
           *out = give(get(w).is_cpu() ? linear_on_cpu(get(x), get(w), b) : at::linear(get(x).to(get(w).scalar_type()), get(w).t(), b)))
}

// libtorch's exact GELU rounds an element according to where in a thread's part of the tensor it lies. Here each row is done by itself,
// in pieces that one thread does.
const char* ft_gelu_rows_(ft_tensor x) {
  FT_GUARD(if (get(x).is_cpu()) {
    at::Tensor rows = get(x).view({-1, get(x).size(-1)});
    for (int64_t r = 0; r < rows.size(0); r++) {
      for (const at::Tensor& piece : rows[r].split(8192)) at::gelu_(const_cast<at::Tensor&>(piece), "none");
    }
  } else { at::gelu_(get(x), "none"); })
}
