// What every .cc of the binding includes, before all else: the check of libtorch's version and the guard that keeps C++
// exceptions in C++. The compiler runs with -Wfatal-errors, so that what is said here is all it says.
#pragma once

#if !__has_include(<torch/headeronly/version.h>)
#error "libtorch is missing: run scripts/install-libtorch.sh"
#endif
#include <torch/headeronly/version.h>
// Kernels, defaults and file layouts are checked against this version alone. -DFRUGAL_ANY_LIBTORCH bypasses the refusal.
#if !defined(FRUGAL_ANY_LIBTORCH) && !(TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 11 && TORCH_VERSION_PATCH == 0)
#error "libtorch 2.11.0 is required: run scripts/install-libtorch.sh (CGO_CXXFLAGS=-DFRUGAL_ANY_LIBTORCH tries another version)"
#endif

#include <ATen/core/Tensor.h>

#include "binding.h"

namespace ft {

// Describes the exception being handled: kind byte, then message, for ft_error_free. Call inside a catch block.
const char* describe_exception() noexcept;

inline at::Tensor& get(ft_tensor t) { return *reinterpret_cast<at::Tensor*>(t); }

inline ft_tensor give(at::Tensor t) { return reinterpret_cast<ft_tensor>(new at::Tensor(std::move(t))); }

// A whole number keeps the dtype of an integer tensor, which a C++ double would turn into a floating one.
inline at::Scalar scalar(ft_tensor t, double v) {
  bool whole = at::isIntegralType(get(t).scalar_type(), /*includeBool=*/false) && v == static_cast<double>(static_cast<int64_t>(v));
  return whole ? at::Scalar(static_cast<int64_t>(v)) : at::Scalar(v);
}

inline at::IntArrayRef sizes(const int64_t* shape, size_t n) { return at::IntArrayRef(shape, n); }

inline c10::Device device(ft_device d) {
  auto type = static_cast<c10::DeviceType>(d.type);
  return c10::Device(type, type == c10::DeviceType::CPU ? -1 : d.index);
}

inline std::vector<at::Tensor> list(const ft_tensor* tensors, size_t n) {
  std::vector<at::Tensor> v;
  v.reserve(n);
  for (size_t i = 0; i < n; i++) v.push_back(get(tensors[i]));
  return v;
}

}  // namespace ft

// The body of every function of the interface: no exception crosses into Go.
#define FT_GUARD(...)                 \
  try {                               \
    __VA_ARGS__;                      \
    return nullptr;                   \
  } catch (...) {                     \
    return ft::describe_exception();  \
  }
