//go:build !cgo

package torch

// Without cgo nothing is left of this package, and the compiler is made to say why.
var _ = this_needs_cgo_and_a_Cpp_compiler_install_one_and_leave_CGO_ENABLED_unset
