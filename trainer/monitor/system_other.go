// Nothing is read where there is no /proc.

//go:build !linux

package monitor

import "frugal/trainer/internal/vfs"

type noStats struct{}

// NewSystemStats returns no figures on this system.
func NewSystemStats(vfs.FS) SystemStats { return noStats{} }

func (noStats) Fields() []Field { return nil }
