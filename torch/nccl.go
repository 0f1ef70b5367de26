package torch

// Groups for tensors on cards, by NVIDIA's NCCL, which comes with the libtorch for CUDA.

/*
#include "binding.h"
*/
import "C"

import (
	"os"
	"time"
)

// ncclBytes are the sizes that the binding gives c10d's ProcessGroupNCCL and its Options.
var ncclBytes = struct{ group, options uint32 }{C.ft_nccl_group_bytes, C.ft_nccl_options_bytes}

// ncclSettings keep c10d from ending the process by itself, from threads that look on, and from writing what it knows to files and to
// stderr: a failure is an error of the Work.
var ncclSettings = [][2]string{
	{"TORCH_NCCL_BLOCKING_WAIT", "1"}, // neither of the two threads is started
	{"TORCH_NCCL_ASYNC_ERROR_HANDLING", "0"},
	{"TORCH_NCCL_ENABLE_MONITORING", "0"},
	{"TORCH_NCCL_RETHROW_CUDA_ERRORS", "0"},
	{"TORCH_NCCL_DUMP_ON_TIMEOUT", "0"},
	{"TORCH_NCCL_LOG_CPP_STACK_ON_UNCLEAN_SHUTDOWN", "0"},
	{"TORCH_NCCL_TRACE_BUFFER_SIZE", "0"},
}

// NCCLAvailable opens libtorch_cuda beside libtorch_cpu and looks whether NewNCCLGroup can use it. The reason says why not. Whether
// there is a card it does not say.
func NCCLAvailable() (ok bool, reason string) {
	if e := asError(C.ft_nccl_open()); e != nil {
		return false, e.Message
	}
	return true, ""
}

// NewNCCLGroup joins the group of size processes that meet in the store, for contiguous tensors on a card: c10d's ProcessGroupNCCL. Each
// process has a card of its own. It waits for the others, until the store's own timeout. The group's AllReduce and Broadcast begin behind
// what the card was asked to do before, and what it is asked for later it does beside them: a tensor is only to be used again, and its
// Work only to be freed, once Wait has found it done. They have no limit of their own: timeout is Abort's, and that of c10d's threads
// where the environment has them started. An error where libtorch is for the CPU only or was made with another NCCL than the binding
// knows, where there is no card, or where NCCL does not reach the others.
//
// It sets variables of c10d's in the environment, TORCH_NCCL_…, that are not set.
func NewNCCLGroup(s *Store, rank, size int, card Device, timeout time.Duration) (*Group, error) {
	for _, v := range ncclSettings {
		if _, set := os.LookupEnv(v[0]); !set {
			if err := os.Setenv(v[0], v[1]); err != nil {
				return nil, err
			}
		}
	}
	g := &Group{nccl: true}
	if err := asError(C.ft_group_nccl(s.ptr, C.int(rank), C.int(size), card.c(), C.int64_t(timeout.Milliseconds()), &g.ptr)); err != nil {
		return nil, err
	}
	return g, nil
}

// Abort ends what is under way, with an error, when others are gone: the card would wait for them forever. For NewNCCLGroup's groups,
// from any goroutine. The group is of no use any more, and is not to be freed.
func (g *Group) Abort() error { return orNil(C.ft_group_abort(g.ptr)) }
