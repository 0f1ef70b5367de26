// What kernels.cc and softmax.cc have for layers.cc.
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

// x + y in fp32, and the same in place, of x and sum in fp32 and the other in any type. libtorch's would convert it as a whole first.
at::Tensor add_widened(const at::Tensor& x, const at::Tensor& y);
void add_widened_(at::Tensor& sum, const at::Tensor& x);

// sums [C] fp32 (+)= the sums of the columns of rows [N, C].
void add_column_sums_(at::Tensor& sums, const at::Tensor& rows, bool accumulate);

}  // namespace ft
