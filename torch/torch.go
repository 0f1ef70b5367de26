// Package torch binds the part of libtorch 2.11 that a trainer needs: tensors, autograd, layers, fused AdamW, loss scaling,
// devices. It knows nothing of language models.
//
// Rules. Operations on tensors panic with *Error; what depends on the world (loading, devices) returns an error. All tensor
// work runs on one locked OS thread (Thread), because gradient mode and OpenMP's pool belong to the thread. A tensor
// belongs to the innermost open Scope and is freed with it, or earlier by Free; no finalizer exists, so nothing the garbage
// collector does can free a tensor that libtorch is using. Where a name means the same in gotorch, it is the same here.
package torch

/*
#cgo CXXFLAGS: -std=c++20 -O2 -Wfatal-errors -Wno-psabi -DAT_PER_OPERATOR_HEADERS -I${SRCDIR}/../third_party/torch/include -I${SRCDIR}/../third_party/torch/include/torch/csrc/api/include
#cgo LDFLAGS: -L${SRCDIR}/../third_party/torch/lib -Wl,-rpath,${SRCDIR}/../third_party/torch/lib -Wl,-rpath-link,${SRCDIR}/../third_party/nvidia/cu13/lib -ltorch_cpu -lc10 -ldl
#include <stdlib.h>
#include "binding.h"
*/
import "C"

// Version is the libtorch version that the binding is written for and, unless bypassed, compiled against.
const Version = "2.11.0"
