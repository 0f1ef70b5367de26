// Layers with backward passes of their own: the gradients of weights go straight into buffers that the caller keeps, instead of
// into tensors that autograd would make and add; what a backward pass needs is kept once.
#include "kernels.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/_unsafe_view.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/native_dropout.h>
#include <ATen/ops/native_dropout_backward.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

using namespace ft;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

using Pointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view, c10::List<std::optional<at::Scalar>>,
                             std::optional<std::string_view>);

// oneDNN's x·wᵀ + bias in fp32, by the operation that torch.compile uses for it; null where this libtorch has none.
const c10::TypedOperatorHandle<Pointwise>* onednn_linear() {
  static const auto handle = [] {
    std::optional<c10::TypedOperatorHandle<Pointwise>> typed;
    auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (found && found->hasKernelForDispatchKey(c10::DispatchKey::CPU)) typed = found->typed<Pointwise>();
    return typed;
  }();
  return handle ? &*handle : nullptr;
}

// a [N, K] · b [K, M] (+ bias [M]) → [N, M], contiguous.
at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, bool onednn) {
  if (onednn && a.is_cpu() && a.scalar_type() == at::kFloat && a.numel() > 0) {
    if (auto* linear = onednn_linear()) {
      return linear->call(a, b.t(), bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
    }
  }
  return bias.defined() ? at::addmm(bias, a, b) : at::mm(a, b);
}

constexpr int64_t kPiece = 1 << 22;  // elements of a product in half precision that is added to a gradient in fp32

// g [K, M] fp32 (+)= a [K, N] · b [N, M]. Products in half precision are rounded to it first, as autocast rounds a weight's
// gradient, a piece at a time.
void add_product_(at::Tensor g, const at::Tensor& a, const at::Tensor& b, bool accumulate) {
  if (a.scalar_type() == g.scalar_type()) {
    at::addmm_out(g, g, a, b, accumulate ? 1 : 0, 1);
    return;
  }
  int64_t rows = std::max<int64_t>(1, kPiece / std::max<int64_t>(1, g.size(1)));
  for (int64_t first = 0; first < g.size(0); first += rows) {
    int64_t n = std::min(rows, g.size(0) - first);
    at::Tensor piece = at::mm(a.narrow(0, first, n), b), part = g.narrow(0, first, n);
    accumulate ? add_widened_(part, piece) : void(part.copy_(piece));
  }
}

// Where the gradients of a layer's weight and bias go; undefined where nobody asks for them. Autograd does not look inside.
struct Gradients {
  at::Tensor weight, bias;
  bool accumulate;

  void save(AutogradContext* ctx) const {
    if (!weight.defined()) return;
    ctx->saved_data["weight_gradient"] = weight;
    ctx->saved_data["bias_gradient"] = bias;
    ctx->saved_data["accumulate"] = accumulate;
  }
  static std::optional<Gradients> of(AutogradContext* ctx) {
    auto& d = ctx->saved_data;
    if (!d.count("weight_gradient")) return std::nullopt;
    return Gradients{d["weight_gradient"].toTensor(), d["bias_gradient"].toTensor(), d["accumulate"].toBool()};
  }
};

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, const Gradients& gradients,
                            bool onednn) {
    at::Tensor rows = x.reshape({-1, x.size(-1)}).to(w.scalar_type());
    ctx->save_for_backward({rows});
    ctx->saved_data["w"] = w;
    ctx->saved_data["onednn"] = onednn;
    gradients.save(ctx);
    ctx->saved_data["shape"] = x.sizes();
    ctx->saved_data["dtype"] = static_cast<int64_t>(x.scalar_type());
    auto shape = x.sizes().vec();
    shape.back() = w.size(1);
    return at::_unsafe_view(product(rows, w, bias, onednn), shape);  // no view to autograd, so that it can be added to in place
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    at::Tensor rows = ctx->get_saved_variables()[0], w = ctx->saved_data["w"].toTensor();
    at::Tensor g = grads[0].reshape({-1, w.size(1)}).to(w.scalar_type());
    bool onednn = ctx->saved_data["onednn"].toBool();
    if (auto own = Gradients::of(ctx)) {
      add_product_(own->weight, rows.t(), g, own->accumulate);
      add_column_sums_(own->bias, g, own->accumulate);
    }
    at::Tensor dx = product(g, w.t(), {}, onednn).view(ctx->saved_data["shape"].toIntVector());
    return {dx.to(static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt())), {}, {}, {}, {}};
  }
};

struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, const at::Tensor& b, const Gradients& gradients, double eps,
                            at::ScalarType dtype) {
    auto [y, mean, rstd] = at::native_layer_norm(x, w.sizes(), w, b, eps);
    ctx->save_for_backward({x, mean, rstd});
    ctx->saved_data["w"] = w;
    ctx->saved_data["b"] = b;
    gradients.save(ctx);
    return y.to(dtype);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    at::Tensor w = ctx->saved_data["w"].toTensor();
    auto own = Gradients::of(ctx);
    auto [dx, dw, db] = at::native_layer_norm_backward(grads[0].to(saved[0].scalar_type()), saved[0], w.sizes(), saved[1], saved[2], w,
                                                       ctx->saved_data["b"].toTensor(), {true, own.has_value(), own.has_value()});
    if (own) {
      own->accumulate ? own->weight.add_(dw) : own->weight.copy_(dw);
      own->accumulate ? own->bias.add_(db) : own->bias.copy_(db);
    }
    return {dx, {}, {}, {}, {}, {}};
  }
};

struct GELUTanh : torch::autograd::Function<GELUTanh> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) {
    ctx->save_for_backward({x});
    return gelu_tanh(x);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {gelu_tanh_backward(grads[0].contiguous(), ctx->get_saved_variables()[0])};
  }
};

struct AddWidened : torch::autograd::Function<AddWidened> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& y) {
    ctx->saved_data["dtype"] = static_cast<int64_t>(y.scalar_type());
    return add_widened(x, y);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {grads[0], grads[0].to(static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt()))};
  }
};

// What an attention works on: [B, T, 3C] as queries, keys and values of H heads.
struct Heads {
  int64_t B, T, H, D;
  Heads(const at::Tensor& qkv, int64_t heads) : B(qkv.size(0)), T(qkv.size(1)), H(heads), D(qkv.size(2) / 3 / heads) {}
  // [B, H, T, D], a view.
  at::Tensor part(const at::Tensor& qkv, int64_t i) const { return qkv.view({B, T, 3, H, D}).select(2, i).transpose(1, 2); }
  // [B·H, T, D], contiguous.
  at::Tensor matrices(const at::Tensor& x) const { return x.reshape({B * H, T, D}); }
  // [B, H, T, D] → [B, T, C].
  at::Tensor joined(const at::Tensor& y) const { return y.view({B, H, T, D}).transpose(1, 2).reshape({B, T, H * D}); }
  // [B, T, C] → [B, H, T, D], a view.
  at::Tensor split(const at::Tensor& y) const { return y.view({B, T, H, D}).transpose(1, 2); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(D)); }
};

// Scores, softmax and sum as three operations: [B·H, T, T] exists, which for short rows is faster than to avoid it.
struct Composed : torch::autograd::Function<Composed> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, int64_t heads, double dropout) {
    Heads h(qkv, heads);
    at::Tensor p = at::bmm(h.matrices(h.part(qkv, 0)), h.matrices(h.part(qkv, 1)).transpose(1, 2)), mask;
    causal_softmax_(p, h.scale());
    at::Tensor used = p;
    if (dropout > 0) std::tie(used, mask) = at::native_dropout(p, dropout, true);
    at::Tensor y = at::bmm(used, h.matrices(h.part(qkv, 2)));
    ctx->save_for_backward({qkv, p, mask});
    ctx->saved_data["heads"] = heads;
    ctx->saved_data["dropout"] = dropout;
    return h.joined(y);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    at::Tensor qkv = saved[0], p = saved[1], mask = saved[2];
    Heads h(qkv, ctx->saved_data["heads"].toInt());
    double keep = 1 / (1 - ctx->saved_data["dropout"].toDouble());
    at::Tensor dy = h.matrices(h.split(grads[0]));
    at::Tensor d = at::empty_like(qkv);
    auto set = [&](int64_t i, const at::Tensor& g) { h.part(d, i).copy_(g.view({h.B, h.H, h.T, h.D})); };
    at::Tensor used = mask.defined() ? p.mul(mask).mul_(keep) : p;
    set(2, at::bmm(used.transpose(1, 2), dy));
    used.reset();
    at::Tensor ds = at::bmm(dy, h.matrices(h.part(qkv, 2)).transpose(1, 2));
    if (mask.defined()) ds.mul_(mask).mul_(keep);
    causal_softmax_backward_(ds, p, h.scale());
    set(0, at::bmm(ds, h.matrices(h.part(qkv, 1))));
    set(1, at::bmm(ds.transpose(1, 2), h.matrices(h.part(qkv, 0))));
    return {d, {}, {}};
  }
};

// libtorch's kernel for a CPU, which goes through the scores block by block (Dao, arXiv 2307.08691) and keeps only their sums.
struct Flash : torch::autograd::Function<Flash> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, int64_t heads) {
    Heads h(qkv, heads);
    auto [y, sums] = at::_scaled_dot_product_flash_attention_for_cpu(h.part(qkv, 0), h.part(qkv, 1), h.part(qkv, 2), 0, /*is_causal=*/true);
    ctx->save_for_backward({qkv, y, sums});
    ctx->saved_data["heads"] = heads;
    return y.transpose(1, 2).reshape({h.B, h.T, h.H * h.D});
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    at::Tensor qkv = saved[0];
    Heads h(qkv, ctx->saved_data["heads"].toInt());
    auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(h.split(grads[0].contiguous()), h.part(qkv, 0), h.part(qkv, 1), h.part(qkv, 2), saved[1],
                                                                                saved[2], 0, /*is_causal=*/true);
    at::Tensor d = at::empty_like(qkv);
    h.part(d, 0).copy_(dq);
    h.part(d, 1).copy_(dk);
    h.part(d, 2).copy_(dv);
    return {d, {}};
  }
};

at::Tensor optional(ft_tensor t) { return t == nullptr ? at::Tensor() : get(t); }

}  // namespace

const char* ft_linear(ft_tensor x, ft_tensor w, ft_tensor bias, ft_tensor weight_gradient, ft_tensor bias_gradient, int accumulate, int onednn, ft_tensor* out) {
  FT_GUARD(TORCH_CHECK(get(w).dim() == 2 && get(x).dim() >= 1 && get(x).size(-1) == get(w).size(0), "rows ", get(x).sizes(), " and matrix ", get(w).sizes(), " do not fit");
           *out = give(Linear::apply(get(x), get(w), get(bias), Gradients{optional(weight_gradient), optional(bias_gradient), accumulate != 0}, onednn != 0)))
}

const char* ft_layer_norm(ft_tensor x, ft_tensor w, ft_tensor bias, ft_tensor weight_gradient, ft_tensor bias_gradient, int accumulate, double eps, int8_t dtype,
                          ft_tensor* out) {
  FT_GUARD(*out = give(LayerNorm::apply(get(x), get(w), get(bias), Gradients{optional(weight_gradient), optional(bias_gradient), accumulate != 0}, eps,
                                        static_cast<at::ScalarType>(dtype))))
}

const char* ft_gelu_tanh(ft_tensor x, ft_tensor* out) {
  FT_GUARD(*out = give(get(x).is_cpu() ? GELUTanh::apply(get(x).contiguous()) : at::gelu(get(x), "tanh")))
}

const char* ft_add_widened(ft_tensor x, ft_tensor y, ft_tensor* out) {
  FT_GUARD(TORCH_CHECK(get(x).sizes() == get(y).sizes(), "sizes ", get(x).sizes(), " and ", get(y).sizes(), " do not fit");
           *out = give(AddWidened::apply(get(x), get(y))))
}

const char* ft_self_attention(ft_tensor qkv_, int64_t heads, double dropout, int composed, ft_tensor* out) {
  FT_GUARD({
    at::Tensor qkv = get(qkv_);
    TORCH_CHECK(qkv.dim() == 3 && heads > 0 && qkv.size(2) % (3 * heads) == 0, "queries, keys and values ", qkv.sizes(), " are not of ", heads, " heads");
    qkv = qkv.contiguous();
    if (!qkv.is_cpu()) {
      Heads h(qkv, heads);
      auto parts = qkv.view({h.B, h.T, 3, h.H, h.D}).unbind(2);  // whose backward pass is one copy
      at::Tensor y = at::scaled_dot_product_attention(parts[0].transpose(1, 2), parts[1].transpose(1, 2), parts[2].transpose(1, 2), {}, dropout, /*is_causal=*/true);
      *out = give(y.transpose(1, 2).reshape({h.B, h.T, h.H * h.D}));
    } else if (composed == 0 && dropout == 0) {
      *out = give(Flash::apply(qkv, heads));
    } else {
      *out = give(Composed::apply(qkv, heads, dropout));
    }
  })
}

const char* ft_product(ft_tensor a, ft_tensor b, int onednn, ft_tensor* out) { FT_GUARD(*out = give(product(get(a), get(b), {}, onednn != 0))) }

const char* ft_add_product_(ft_tensor g, ft_tensor a, ft_tensor b, int accumulate) { FT_GUARD(add_product_(get(g), get(a), get(b), accumulate != 0)) }

const char* ft_has_onednn(int* out) { FT_GUARD(*out = onednn_linear() != nullptr) }
