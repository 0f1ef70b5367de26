package torch

// What control groups allow: docker run --memory, systemd's MemoryMax, Kubernetes' limits and Slurm's are limits of a group, which
// /proc/meminfo does not know. https://docs.kernel.org/admin-guide/cgroup-v2.html#memory

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// controlGroup is a group's directory, and its files' names in the version of the hierarchy that it is of.
type controlGroup struct{ dir, limit, usage, reclaimable string }

// controlGroups are the process's and those that they are in, under the root of a file system.
func controlGroups(root string) (groups []controlGroup) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy, controllers, path
		if len(fields) < 3 {
			continue
		}
		g := controlGroup{limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file"}
		mount := "sys/fs/cgroup"
		if slices.Contains(strings.Split(fields[1], ","), "memory") {
			g = controlGroup{limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file"}
			mount = "sys/fs/cgroup/memory"
		} else if fields[1] != "" {
			continue
		}
		for path := filepath.Clean("/" + fields[2]); ; path = filepath.Dir(path) {
			g.dir = filepath.Join(root, mount, path)
			groups = append(groups, g)
			if path == "/" {
				break
			}
		}
	}
	return groups
}

// memory is what the group may still take and what it may have in all; ok is false where it has no limit. Files that were read
// once and can be dropped count as free; what the kernel holds on to a little longer does not, though it could be.
func (g controlGroup) memory() (free, limit int64, ok bool) {
	limit, ok = number(filepath.Join(g.dir, g.limit)) // "max": none
	used, told := number(filepath.Join(g.dir, g.usage))
	if !ok || !told {
		return 0, 0, false
	}
	text, _ := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == g.reclaimable {
			n, _ := strconv.ParseInt(value, 10, 64)
			used -= n
		}
	}
	return max(0, limit-max(0, used)), limit, true
}

func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
