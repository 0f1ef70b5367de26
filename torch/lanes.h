// Vectors of floats for the kernels that the binding has of its own: one source, compiled for each set of instructions.
#pragma once
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#define FT_INLINE inline __attribute__((always_inline))

namespace ft {

FT_INLINE float widen(float v) { return v; }
FT_INLINE float widen(c10::BFloat16 v) { return c10::detail::f32_from_bits(v.x); }
FT_INLINE float widen(c10::Half v) { return c10::detail::fp16_ieee_to_fp32_value(v.x); }

template <int N>
struct Lanes;
#define FT_LANES(N)                                          \
  template <>                                                \
  struct Lanes<N> {                                          \
    typedef float F __attribute__((vector_size(4 * N)));     \
    typedef uint32_t U __attribute__((vector_size(4 * N)));  \
    typedef uint16_t H __attribute__((vector_size(2 * N)));  \
  };
FT_LANES(4)
FT_LANES(8)
FT_LANES(16)

// N floats, which the compiler makes of whatever registers it may use.
template <int N>
struct Vec {
  using F = typename Lanes<N>::F;
  using U = typename Lanes<N>::U;
  F v;
  FT_INLINE void load(const float* p) { std::memcpy(&v, p, sizeof v); }
  FT_INLINE void load(const c10::BFloat16* p) {
    typename Lanes<N>::H h;
    std::memcpy(&h, p, sizeof h);
    set_bits(__builtin_convertvector(h, U) << 16);
  }
  FT_INLINE void load(const c10::Half* p) {
    for (int i = 0; i < N; i++) v[i] = widen(p[i]);
  }
  FT_INLINE void store(float* p) const { std::memcpy(p, &v, sizeof v); }
  // Rounds to nearest, ties to even.
  FT_INLINE void store(c10::BFloat16* p) const {
    U u = bits(), nan = reinterpret_cast<U>(v != v);
    u += 0x7fff + (u >> 16 & 1);
    u = (u & ~nan) | (nan & 0x7fc00000);
    typename Lanes<N>::H h = __builtin_convertvector(u >> 16, typename Lanes<N>::H);
    std::memcpy(p, &h, sizeof h);
  }
  FT_INLINE void store(c10::Half* p) const {
    for (int i = 0; i < N; i++) p[i] = c10::Half(v[i]);
  }
  // The first n < N elements; the others are fill.
  template <class T>
  FT_INLINE void load_some(const T* p, int64_t n, float fill) {
    for (int64_t i = 0; i < N; i++) v[i] = i < n ? widen(p[i]) : fill;
  }
  template <class T>
  FT_INLINE void store_some(T* p, int64_t n) const {
    T t[N];
    store(t);
    for (int64_t i = 0; i < n; i++) p[i] = t[i];
  }
  FT_INLINE U bits() const {
    U u;
    std::memcpy(&u, &v, sizeof u);
    return u;
  }
  FT_INLINE void set_bits(U u) { std::memcpy(&v, &u, sizeof v); }
  // The elements of a where mask has all bits set, of v elsewhere.
  FT_INLINE void pick(U mask, const Vec& a) { set_bits((bits() & ~mask) | (a.bits() & mask)); }
  FT_INLINE void raise(const Vec& a) { pick(reinterpret_cast<U>(a.v > v), a); }
  FT_INLINE float total() const {
    float t[N];
    store(t);
#pragma GCC unroll 4
    for (int half = N / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
      for (int i = 0; i < half; i++) t[i] += t[i + half];
    }
    return t[0];
  }
  FT_INLINE float largest() const {
    float t = v[0];
    for (int i = 1; i < N; i++) t = v[i] > t ? v[i] : t;
    return t;
  }
  // e^v within 2 ulp, and 0 below -87.3 (S. Moshier, Cephes, expf). Not a number stays one.
  FT_INLINE void exp() {
    constexpr float lowest = -87.3f;
    F x = v;
    U below = reinterpret_cast<U>(x < lowest);
    Vec clamped{x}, bound{F{} + lowest};
    clamped.pick(below, bound);
    bound.v = F{} + 88.3f;
    clamped.pick(reinterpret_cast<U>(x > 88.3f), bound);
    x = clamped.v;
    Vec turns{x * 1.44269504088896341f + 12582912.f};  // 1.5 · 2^23: the sum's last bits are the nearest whole number
    U n = turns.bits() << 23;
    F whole = turns.v - 12582912.f;
    F r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    F p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    v = p * (r * r) + r + 1.f;
    set_bits((bits() + n) & ~below);
  }
};

}  // namespace ft

// The same source for each set of instructions; which one, the processor decides. NAME_for<N, T>(args…) must exist; NAME<T>() is
// the function for this machine.
#if defined(__x86_64__)
#define FT_TARGETS(NAME, RESULT, PARAMETERS, ARGUMENTS)                                                                                          \
  template <class T>                                                                                                                             \
  RESULT NAME##_plain PARAMETERS { return NAME##_for<4, T> ARGUMENTS; }                                                                          \
  template <class T>                                                                                                                             \
  __attribute__((target("avx2,fma"))) RESULT NAME##_avx2 PARAMETERS { return NAME##_for<8, T> ARGUMENTS; }                                       \
  template <class T>                                                                                                                             \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx2,fma"))) RESULT NAME##_avx512 PARAMETERS { return NAME##_for<16, T> ARGUMENTS; }          \
  template <class T>                                                                                                                             \
  auto NAME() {                                                                                                                                  \
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return NAME##_avx512<T>;  \
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return NAME##_avx2<T>;                                                  \
    return NAME##_plain<T>;                                                                                                                      \
  }
#else
#define FT_TARGETS(NAME, RESULT, PARAMETERS, ARGUMENTS)                 \
  template <class T>                                                    \
  RESULT NAME##_plain PARAMETERS { return NAME##_for<4, T> ARGUMENTS; } \
  template <class T>                                                    \
  auto NAME() { return NAME##_plain<T>; }
#endif

// Calls F<T>() with the floating-point type of a tensor as T.
#define FT_DISPATCH(TYPE, ...)                                                   \
  [&] {                                                                          \
    switch (TYPE) {                                                              \
      case at::kFloat: { using T = float; return __VA_ARGS__(); }                \
      case at::kBFloat16: { using T = c10::BFloat16; return __VA_ARGS__(); }     \
      case at::kHalf: { using T = c10::Half; return __VA_ARGS__(); }             \
      default: TORCH_CHECK(false, "no kernel for ", TYPE);                       \
    }                                                                            \
  }()
