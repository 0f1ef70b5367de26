// The C interface between Go and libtorch. Every function returns NULL on success or a message for ft_error_free; its
// first byte is the error's kind (see error.cc). A tensor is an at::Tensor on the heap, owned by the caller.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ft_tensor_s* ft_tensor;

typedef struct {
  int8_t type;  // c10::DeviceType: 0 CPU, 1 CUDA
  int8_t index;
} ft_device;

// error.cc
void ft_error_stacks(int on);
void ft_error_free(const char* message);

// tensor.cc: creation, metadata, copies
const char* ft_empty(const int64_t* shape, size_t n, int8_t dtype, ft_device device, ft_tensor* out);
const char* ft_full(const int64_t* shape, size_t n, double value, int8_t dtype, ft_device device, ft_tensor* out);
const char* ft_from_bytes(const void* data, size_t bytes, const int64_t* shape, size_t n, int8_t dtype, ft_device device, ft_tensor* out);
const char* ft_copy_to_bytes(ft_tensor t, void* data, size_t bytes);
const char* ft_item(ft_tensor t, double* out);
const char* ft_free(ft_tensor t);
const char* ft_dim(ft_tensor t, size_t* out);
const char* ft_shape(ft_tensor t, int64_t* out);
const char* ft_info(ft_tensor t, int8_t* dtype, ft_device* device, int64_t* numel, int* requires_grad);
const char* ft_to(ft_tensor t, int8_t dtype, ft_device device, ft_tensor* out);
const char* ft_copy_(ft_tensor dst, ft_tensor src);
const char* ft_clone(ft_tensor t, ft_tensor* out);
const char* ft_detach(ft_tensor t, ft_tensor* out);
const char* ft_equal(ft_tensor a, ft_tensor b, int* out);

// shape.cc: views
const char* ft_reshape(ft_tensor t, const int64_t* shape, size_t n, ft_tensor* out);
const char* ft_transpose(ft_tensor t, int64_t a, int64_t b, ft_tensor* out);
const char* ft_narrow(ft_tensor t, int64_t dim, int64_t start, int64_t length, ft_tensor* out);
const char* ft_index_select(ft_tensor t, int64_t dim, ft_tensor index, ft_tensor* out);

// math.cc
const char* ft_add(ft_tensor a, ft_tensor b, double alpha, ft_tensor* out);
const char* ft_add_(ft_tensor a, ft_tensor b, double alpha);
const char* ft_add_scalar_(ft_tensor a, double b);
const char* ft_sub(ft_tensor a, ft_tensor b, ft_tensor* out);
const char* ft_mul(ft_tensor a, ft_tensor b, ft_tensor* out);
const char* ft_mul_(ft_tensor a, ft_tensor b);
const char* ft_mul_scalar(ft_tensor a, double b, ft_tensor* out);
const char* ft_fill_(ft_tensor a, double value);
const char* ft_reciprocal(ft_tensor a, ft_tensor* out);
const char* ft_exp_(ft_tensor a);
const char* ft_log(ft_tensor a, ft_tensor* out);
const char* ft_sum(ft_tensor a, int8_t dtype, ft_tensor* out);
const char* ft_sum_dim(ft_tensor a, int64_t dim, ft_tensor* out);
const char* ft_ge_scalar(ft_tensor a, double b, ft_tensor* out);
const char* ft_clamp_min(ft_tensor a, double b, ft_tensor* out);
const char* ft_matmul(ft_tensor a, ft_tensor b, ft_tensor* out);
const char* ft_log_softmax(ft_tensor a, int64_t dim, int8_t dtype, ft_tensor* out);
const char* ft_gather(ft_tensor a, int64_t dim, ft_tensor index, ft_tensor* out);
const char* ft_scatter_add_(ft_tensor a, int64_t dim, ft_tensor index, ft_tensor src);
const char* ft_scatter_fill_(ft_tensor a, int64_t dim, ft_tensor index, double value);
const char* ft_topk(ft_tensor a, int64_t k, ft_tensor* values, ft_tensor* indices);
const char* ft_where(ft_tensor condition, ft_tensor a, ft_tensor b, ft_tensor* out);
const char* ft_normal_(ft_tensor a, double mean, double std);

// nn.cc
const char* ft_embedding(ft_tensor weight, ft_tensor ids, ft_tensor* out);
const char* ft_gelu(ft_tensor x, ft_tensor* out);
const char* ft_dropout(ft_tensor x, double p, ft_tensor* out);

// layers.cc: gradients of weights go into the buffers given, which may be null; onednn and composed choose a library or a kernel
const char* ft_linear(ft_tensor x, ft_tensor w, ft_tensor bias, ft_tensor weight_gradient, ft_tensor bias_gradient, int accumulate, int onednn, ft_tensor* out);
const char* ft_layer_norm(ft_tensor x, ft_tensor w, ft_tensor bias, ft_tensor weight_gradient, ft_tensor bias_gradient, int accumulate, double eps, int8_t dtype,
                          ft_tensor* out);
const char* ft_gelu_tanh(ft_tensor x, ft_tensor* out);
const char* ft_add_widened(ft_tensor x, ft_tensor y, ft_tensor* out);
const char* ft_self_attention(ft_tensor qkv, int64_t heads, double dropout, int composed, ft_tensor* out);
const char* ft_product(ft_tensor a, ft_tensor b, int onednn, ft_tensor* out);
const char* ft_add_product_(ft_tensor g, ft_tensor a, ft_tensor b, int accumulate);
const char* ft_has_onednn(int* out);

// softmax.cc
const char* ft_cross_entropy(ft_tensor logits, ft_tensor targets, ft_tensor weight, ft_tensor loss_sum, ft_tensor gradient);

// kernels.cc
const char* ft_add_rows_(ft_tensor sums, ft_tensor ids, ft_tensor rows);
const char* ft_norm(ft_tensor x, ft_tensor* out);

// rows.cc
const char* ft_linear_rows(ft_tensor x, ft_tensor weight, ft_tensor bias, ft_tensor* out);
const char* ft_attention_rows(ft_tensor q, ft_tensor k, ft_tensor v, ft_tensor* out);
const char* ft_gelu_rows_(ft_tensor x);

// autograd.cc
const char* ft_set_requires_grad(ft_tensor t, int on);
const char* ft_grad(ft_tensor t, ft_tensor* out);
const char* ft_set_grad(ft_tensor t, ft_tensor grad);
const char* ft_backward(const ft_tensor* outputs, const ft_tensor* grads, size_t n);
const char* ft_grad_mode(int on, int* before);

// optim.cc
const char* ft_fused_adamw_(const ft_tensor* params, const ft_tensor* grads, const ft_tensor* exp_avgs, const ft_tensor* exp_avg_sqs, size_t n,
                            ft_tensor step, ft_tensor lr, double beta1, double beta2, double weight_decay, double eps, ft_tensor grad_scale,
                            ft_tensor found_inf);
const char* ft_count_update_(ft_tensor count, ft_tensor found_inf);
const char* ft_clip_coefficient(ft_tensor norm, double max_norm, ft_tensor* out);
const char* ft_amp_update_scale_(ft_tensor scale, ft_tensor growth_tracker, ft_tensor found_inf, double growth, double backoff, int64_t interval);

// device.cc
const char* ft_load_cuda(char** why);
const char* ft_device_count(int8_t type, int* out);
typedef struct {
  int64_t allocated, allocated_peak, reserved, reserved_peak, free, total;
} ft_memory;
const char* ft_memory_stats(ft_device device, ft_memory* out);
const char* ft_reset_peak(ft_device device);
const char* ft_empty_cache(ft_device device);
const char* ft_synchronize(ft_device device);
const char* ft_manual_seed(ft_device device, uint64_t seed);
const char* ft_set_num_threads(int n);
const char* ft_num_threads(int* out);
const char* ft_cpu_capability(const char** out);

// stream.cc. A null stream is that in which the device works.
const char* ft_stream_new(ft_device device, void** out);
const char* ft_stream_free(void* stream);
const char* ft_stream_copy(void* stream, ft_tensor to, ft_tensor from);
const char* ft_event_new(ft_device device, void** out);
const char* ft_event_free(void* event);
const char* ft_event_record(void* event, void* stream, ft_device device);
const char* ft_event_block(void* event, void* stream, ft_device device);
const char* ft_event_synchronize(void* event);
const char* ft_host_zeros(const int64_t* shape, size_t n, int8_t dtype, ft_device card, ft_tensor* out, int* pinned);

// allocator.cc: memory by kind, in the order of torch.MemoryKind
enum { ft_memory_kinds = 6 };
typedef struct {
  int64_t live[ft_memory_kinds], at_peak[ft_memory_kinds];
} ft_kinds;
const char* ft_count_as(int8_t kind, int8_t* before);
const char* ft_memory_by_kind(ft_device device, ft_kinds* out);
const char* ft_set_memory_limit(ft_device device, int64_t bytes);
const char* ft_fail_allocation(int64_t n);
const char* ft_allocations(int64_t* out);

// histogram.cc
const char* ft_histogram(const ft_tensor* tensors, size_t n, ft_tensor edges, ft_tensor* out);

// nvml.cc: -1 is what the driver does not say
typedef struct {
  int64_t utilization, celsius, milliwatts, memory_used;
} ft_card;
const char* ft_card_open(int8_t index, void** card, char** why);
const char* ft_card_read(void* card, ft_card* out);
const char* ft_card_bus_id(int8_t index, char** id, char** why);

// dist.cc: a store of c10d's (listening: the file descriptor of a socket to serve it on; -1: another process does), a group, a collective
const char* ft_store_new(const char* host, int port, int listening, int64_t timeout_ms, void** out);
const char* ft_store_prefix(void* s, const char* prefix, void** out);
const char* ft_store_free(void* s);
const char* ft_store_set(void* s, const char* key, const char* value, size_t n);
const char* ft_store_get(void* s, const char* key, int64_t timeout_ms, char** value, size_t* n);  // value: for free
const char* ft_store_add(void* s, const char* key, int64_t by, int64_t* out);
const char* ft_store_check(void* s, const char* key, int* out);
const char* ft_group_gloo(void* s, int rank, int size, const char* address, int64_t timeout_ms, void** out);
const char* ft_group_free(void* g);
const char* ft_group_all_reduce(void* g, ft_tensor t, void** out);
const char* ft_group_broadcast(void* g, ft_tensor t, int root, void** out);
const char* ft_group_send(void* g, ft_tensor t, int to, void** out);
const char* ft_group_receive(void* g, ft_tensor t, int from, void** out);
const char* ft_work_wait(void* w, int64_t timeout_ms, int* done);
const char* ft_work_free(void* w);

// nccl.cc: a group of NCCL's, which is left in order (it waits for what is under way) or aborted. The sizes of c10d's ProcessGroupNCCL and
// of its Options, in bytes; a mutex is larger on aarch64.
#if defined(__aarch64__)
enum { ft_nccl_group_bytes = 1168, ft_nccl_options_bytes = 248 };
#else
enum { ft_nccl_group_bytes = 1112, ft_nccl_options_bytes = 248 };
#endif
const char* ft_nccl_open(void);
const char* ft_group_nccl(void* s, int rank, int size, ft_device device, int64_t timeout_ms, void** out);
const char* ft_group_shutdown(void* g);
const char* ft_group_abort(void* g);

#ifdef __cplusplus
}
#endif
