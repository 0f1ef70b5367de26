// Numbers as people read them: 2m10s, 8,120, 1.3 GB.

package monitor

import (
	"fmt"
	"strconv"
	"time"
)

// FormatDuration writes a duration in at most two units: 0.4s, 42s, 2m10s, 3h05m, 2d04h.
func FormatDuration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < 9950*time.Millisecond {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	seconds := int64(d.Round(time.Second) / time.Second)
	minutes, hours, days := seconds/60, seconds/3600, seconds/86400
	switch {
	case minutes == 0:
		return fmt.Sprintf("%ds", seconds)
	case hours == 0:
		return fmt.Sprintf("%dm%02ds", minutes, seconds%60)
	case days == 0:
		return fmt.Sprintf("%dh%02dm", hours, minutes%60)
	}
	return fmt.Sprintf("%dd%02dh", days, hours%24)
}

// FormatCount writes an integer with its thousands apart: 8,120.
func FormatCount(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// FormatBytes writes a number of bytes in units of 1024, as the sizes of graphics cards are given: 512 B, 3.4 MB, 1.3 GB.
func FormatBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for units := "KMGT"; value >= 1023.95 && unit < len(units)-1; unit++ {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %cB", value, "KMGT"[unit])
}
