package torch

import (
	"os"
	"path/filepath"
	"testing"
)

// tree makes files below a new directory.
func tree(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAContainersLimitIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		files       map[string]string
		free, limit int64 // the tightest; 0: none
	}{
		"a container's root": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "700\n",
			"sys/fs/cgroup/memory.stat": "anon 500\ninactive_file 150\n"}, 450, 1000},
		"a slice above": {map[string]string{"proc/self/cgroup": "0::/a.slice/b.scope\n", "sys/fs/cgroup/a.slice/memory.max": "900\n",
			"sys/fs/cgroup/a.slice/memory.current": "100\n", "sys/fs/cgroup/a.slice/b.scope/memory.max": "max\n", "sys/fs/cgroup/a.slice/b.scope/memory.current": "90\n"}, 800, 900},
		"the first version": {map[string]string{"proc/self/cgroup": "3:cpu,cpuacct:/x\n2:hugetlb,memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "500\n",
			"sys/fs/cgroup/memory/x/memory.usage_in_bytes": "600\n", "sys/fs/cgroup/memory/x/memory.stat": "total_inactive_file 10\n"}, 0, 500},
		"no limit":  {map[string]string{"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/memory.max": "max\n", "sys/fs/cgroup/x/memory.current": "5\n"}, 0, 0},
		"no groups": {nil, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			free, limit := int64(0), int64(0)
			for _, g := range controlGroups(tree(t, c.files)) {
				if f, l, ok := g.memory(); ok && (limit == 0 || l < limit) {
					free, limit = f, l
				}
			}
			if free != c.free || limit != c.limit {
				t.Errorf("%d of %d, want %d of %d", free, limit, c.free, c.limit)
			}
		})
	}
}

func TestTheSystemsMemoryIsNoMoreThanTheMachines(t *testing.T) {
	free, all := machineMemory()
	available, total := systemMemory()
	if all <= 0 || total <= 0 || total > all || available > total || available > free+free/2+1<<30 { // the machine's changes meanwhile
		t.Errorf("%d of %d, and of the machine %d of %d", available, total, free, all)
	}
}
