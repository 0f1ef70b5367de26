//go:build !linux

package vfs

// StartWriteback does nothing here.
func StartWriteback(f File, offset, length int64) {}
