// What kernels.cc has for layers.cc.
#pragma once
#include "guard.h"

namespace ft {

// scores [.., T, T] become softmax(scale · scores), where row t sees columns 0 to t. scale must be positive. On a CPU.
void causal_softmax_(at::Tensor& scores, double scale);

// gradient [.., T, T], of the probabilities, becomes that of the scores.
void causal_softmax_backward_(at::Tensor& gradient, const at::Tensor& probabilities, double scale);

// GELU with tanh of a contiguous x, and the gradient by x where dy, contiguous too, is that of the result. On a CPU.
at::Tensor gelu_tanh(const at::Tensor& x);
at::Tensor gelu_tanh_backward(const at::Tensor& dy, const at::Tensor& x);

// sums [C] fp32 (+)= the sums of the columns of rows [N, C].
void add_column_sums_(at::Tensor& sums, const at::Tensor& rows, bool accumulate);

}  // namespace ft
