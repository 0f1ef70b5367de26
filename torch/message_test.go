package torch

import "testing"

// The messages are libtorch's (c10/cuda/CUDAException.cpp, CUDACachingAllocator.cpp) Gloo's and c10d's (NCCLUtils.hpp), shortened.
func TestMessagesLoseTheirAdvice(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegalAddress' in https://…\nCUDA kernel errors might be asynchronously reported at some other API call.\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n",
			"CUDA error: an illegal memory access was encountered"},
		{"CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 3.81 GiB of which 1.2 GiB is free. If reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=…",
			"CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 3.81 GiB of which 1.2 GiB is free."},
		{"[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 1152921504606846976 bytes. Error code 12 (Cannot allocate memory)",
			"can't allocate memory: you tried to allocate 1152921504606846976 bytes. Error code 12 (Cannot allocate memory)"},
		{"[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:40347", "Connection closed by peer [127.0.0.1]:40347"},
		{"NCCL error in: /pytorch/torch/csrc/distributed/c10d/NCCLUtils.cpp:94, unhandled system error (run with NCCL_DEBUG=INFO for details), NCCL version 2.28.9\nncclSystemError: System call failed.",
			"unhandled system error (run with NCCL_DEBUG=INFO for details), NCCL version 2.28.9 ncclSystemError: System call failed."},
		{"two\n lines", "two lines"},
	} {
		if got := oneLine(c.message); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.message, got, c.want)
		}
	}
}
