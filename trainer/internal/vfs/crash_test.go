package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// tree lists a disk as "name=contents" and "name/".
func tree(t *testing.T, m *Mem, dir string) string {
	t.Helper()
	entries, err := m.ReadDir("/" + dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		name := dir + "/" + e.Name()
		if e.IsDir() {
			lines = append(lines, e.Name()+"/")
			if below := tree(t, m, name); below != "" {
				lines = append(lines, "("+below+")")
			}
			continue
		}
		b, err := ReadFile(m, name)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, e.Name()+"="+string(b))
	}
	return strings.Join(lines, " ")
}

func write(m *Mem, name, text string, sync bool) {
	f, err := m.Create(name)
	if err != nil {
		panic(err)
	}
	f.Write([]byte(text))
	if sync {
		f.Sync()
	}
	f.Close()
}

func TestACrashLosesWhatWasNotSynced(t *testing.T) {
	for _, c := range []struct {
		behaviour string
		do        func(m *Mem)
		want      string
	}{
		{"nothing synced", func(m *Mem) { write(m, "a", "x", false) }, ""},
		{"contents alone: the name is lost", func(m *Mem) { write(m, "a", "x", true) }, ""},
		{"the name alone: the file is empty", func(m *Mem) { write(m, "a", "x", false); m.SyncDir("/") }, "a="},
		{"both", func(m *Mem) { write(m, "a", "x", true); m.SyncDir("/") }, "a=x"},
		{"written after the sync", func(m *Mem) {
			write(m, "a", "x", true)
			m.SyncDir("/")
			f, _ := m.OpenFile("a", os.O_WRONLY, 0)
			f.Write([]byte("yz"))
		}, "a=x"},
		{"truncated and appended after the sync", func(m *Mem) {
			f, _ := m.Create("a")
			f.Write([]byte("abc"))
			f.Sync()
			m.SyncDir("/")
			f.Truncate(1)
			f.Seek(0, 2)
			f.Write([]byte("ZZ"))
		}, "a=abc"},
		{"a directory's name does not carry its entries", func(m *Mem) {
			m.Mkdir("d", 0o777)
			write(m, "d/a", "x", true)
			m.SyncDir("/")
		}, "d/"},
		{"a removal", func(m *Mem) { write(m, "a", "x", true); m.SyncDir("/"); m.Remove("a") }, "a=x"},
		{"a synced removal", func(m *Mem) { write(m, "a", "x", true); m.SyncDir("/"); m.Remove("a"); m.SyncDir("/") }, ""},
		{"a rename without SyncDir", func(m *Mem) {
			write(m, "a", "old", true)
			m.SyncDir("/")
			write(m, "b", "new", true)
			m.Rename("b", "a")
		}, "a=old"},
		{"a rename before the contents were synced", func(m *Mem) {
			write(m, "a", "old", true)
			m.SyncDir("/")
			write(m, "b", "new", false)
			m.Rename("b", "a")
			m.SyncDir("/")
		}, "a="},
		{"a rename between directories counts for both", func(m *Mem) {
			m.Mkdir("d", 0o777)
			m.Mkdir("e", 0o777)
			write(m, "d/a", "x", true)
			m.SyncDir("d")
			m.SyncDir("/")
			m.Rename("d/a", "e/a")
			m.SyncDir("e")
		}, "d/ e/ (a=x)"},
		{"a directory handle's Sync is SyncDir", func(m *Mem) {
			write(m, "a", "x", true)
			d, _ := m.Open("/")
			d.Sync()
		}, "a=x"},
	} {
		t.Run(c.behaviour, func(t *testing.T) {
			m := NewMem()
			c.do(m)
			before := tree(t, m, "")
			if got := tree(t, m.Crash(LoseUnsynced, 0), ""); got != c.want {
				t.Errorf("after the crash: %q, want %q", got, c.want)
			}
			if got := tree(t, m.Crash(KeepAll, 0), ""); got != before {
				t.Errorf("after the end of the process: %q, want %q", got, before)
			}
			if got := tree(t, m, ""); got != before {
				t.Errorf("the crash changed the disk that crashed: %q, want %q", got, before)
			}
		})
	}
}

func TestACrashKeepsSomeInEveryCombination(t *testing.T) {
	m := NewMem()
	write(m, "a", "old", true)
	m.SyncDir("/")
	write(m, "b", "new", false)
	m.Rename("b", "a")
	seen := map[string]bool{}
	for seed := range uint64(200) {
		seen[tree(t, m.Crash(KeepSome, seed), "")] = true
	}
	// b's creation and the rename each kept or not (a rename of what is not there cannot be), b's contents or not.
	for _, want := range []string{"a=old", "a=old b=", "a=old b=new", "a=", "a=new"} {
		if !seen[want] {
			t.Errorf("never saw %q", want)
		}
		delete(seen, want)
	}
	for got := range seen {
		t.Errorf("saw %q", got)
	}
}

func TestATornFileIsAMixture(t *testing.T) {
	m := NewMem()
	before, after := bytes.Repeat([]byte("o"), 4*sector), bytes.Repeat([]byte("n"), 4*sector)
	write(m, "a", string(before), true)
	m.SyncDir("/")
	f, _ := m.OpenFile("a", os.O_RDWR, 0)
	f.Write(after)
	mixed := false
	for seed := range uint64(50) {
		got, err := ReadFile(m.Crash(Torn, seed), "a")
		if err != nil || len(got) != len(before) {
			t.Fatal(len(got), err)
		}
		mixed = mixed || bytes.IndexByte(got, 'o') >= 0 && bytes.IndexByte(got, 'n') >= 0 && bytes.IndexByte(got, 0) >= 0
	}
	if !mixed {
		t.Error("no mixture in 50 crashes")
	}
	f.Sync()
	for seed := range uint64(50) {
		if got, _ := ReadFile(m.Crash(Torn, seed), "a"); !bytes.Equal(got, after) {
			t.Fatal("synced contents were torn")
		}
	}
}

func TestATornAppendLeavesWhatWasSynced(t *testing.T) {
	for _, c := range []struct{ synced, appended int }{{3 * sector, 2 * sector}, {sector + 9, 5}, {7, 4 * sector}, {2*sector + 100, sector}} {
		m := NewMem()
		kept := bytes.Repeat([]byte("k"), c.synced)
		write(m, "a", string(kept), true)
		m.SyncDir("/")
		f, _ := m.OpenFile("a", os.O_WRONLY|os.O_APPEND, 0)
		f.Write(bytes.Repeat([]byte("n"), c.appended))
		torn := false
		for seed := range uint64(100) {
			got, err := ReadFile(m.Crash(Torn, seed), "a")
			if err != nil || !bytes.HasPrefix(got, kept) {
				t.Fatalf("%d bytes appended to %d, seed %d: of the synced ones %q are left, %v", c.appended, c.synced, seed, got[:min(len(got), c.synced)], err)
			}
			torn = torn || len(got) > c.synced && len(got) < c.synced+c.appended
		}
		if !torn {
			t.Errorf("%d bytes appended to %d: never torn", c.appended, c.synced)
		}
	}
}

// Whatever was done before, a file that was synced together with every directory above it is there after any crash.
func TestWhatWasSyncedSurvivesAnyCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMem()
		names := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/e", "d/e/a", "f", "f/a"})
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			name := names.Draw(t, "name")
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				m.MkdirAll(name, 0o777)
			case 2:
				if f, err := m.Create(name); err == nil {
					f.Write([]byte(name))
				}
			case 3:
				m.Rename(name, names.Draw(t, "to"))
			case 4:
				m.RemoveAll(name)
			default:
				m.SyncDir(name)
			}
		}
		m.RemoveAll("top")
		if err := m.MkdirAll("top/below", 0o777); err != nil {
			t.Fatal(err)
		}
		write(m, "top/below/file", "kept", true)
		for _, dir := range []string{"top/below", "top", "/"} {
			if err := m.SyncDir(dir); err != nil {
				t.Fatal(err)
			}
		}
		mode := rapid.SampledFrom(CrashModes).Draw(t, "mode")
		crashed := m.Crash(mode, rapid.Uint64().Draw(t, "seed"))
		if got, err := ReadFile(crashed, "top/below/file"); string(got) != "kept" {
			t.Fatalf("%v: got %q, %v", mode, got, err)
		}
	})
}

func TestWriteFileAtomicSurvivesAPowerFailureAnywhere(t *testing.T) {
	for index, injector := range EveryFault(FailFrom, errors.New("power failure")) {
		m := NewMem()
		if err := WriteFileAtomic(m, "a", []byte("old")); err != nil {
			t.Fatal(err)
		}
		done := WriteFileAtomic(Fault(m, injector.Decide), "a", []byte("new")) == nil
		for _, mode := range CrashModes {
			for seed := range uint64(20) {
				got, err := ReadFile(m.Crash(mode, seed), "a")
				if s := string(got); s != "new" && (s != "old" || done) {
					t.Fatalf("operation %d, %v: got %q, %v", index, mode, got, err)
				}
			}
		}
		if done != (injector.Fired() == nil) {
			t.Errorf("operation %d failed and WriteFileAtomic said nothing", index)
		}
	}
}

func TestEveryOperationCanFail(t *testing.T) {
	broken := errors.New("broken")
	kinds := map[OpKind]bool{}
	for index, injector := range EveryFault(FailAt, broken) {
		m := NewMem()
		m.MkdirAll("d/e", 0o777)
		write(m, "d/f", "text", true)
		fsys := Fault(m, injector.Decide)
		err := everyOperation(fsys)
		op := injector.Fired()
		if op == nil {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		kinds[op.Kind] = true
		if op.Index != index || op.Path == "" {
			t.Errorf("operation %d: fired %+v", index, *op)
		}
		if op.Kind == OpClose && op.Path == "d/f" && err == nil {
			continue // ReadFile has what it came for
		}
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), op.Path) {
			t.Errorf("operation %d (%s %s): got %v", index, op.Kind, op.Path, err)
		}
	}
	for _, kind := range []OpKind{OpOpen, OpCreate, OpRead, OpWrite, OpSync, OpTruncate, OpClose, OpStat, OpMkdir, OpRename, OpRemove,
		OpReadDir, OpSyncDir, OpLock, OpMap} {
		if !kinds[kind] {
			t.Errorf("%s never failed", kind)
		}
	}
}

// everyOperation stops at the first error.
func everyOperation(fsys FS) (err error) {
	var f File
	try := func(do func() error) {
		if err == nil {
			err = do()
		}
	}
	try(func() error { f, err = fsys.OpenFile("d/g", os.O_RDWR|os.O_CREATE, 0o666); return err })
	try(func() error { _, err := f.Write([]byte("abc")); return err })
	try(func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err })
	try(func() error { return f.Truncate(1) })
	try(func() error { return f.Sync() })
	try(func() error { _, err := f.Stat(); return err })
	try(func() error { return f.Close() })
	try(func() error { _, err := ReadFile(fsys, "d/f"); return err })
	try(func() error { return fsys.MkdirAll("x/y", 0o777) })
	try(func() error { return fsys.Rename("d/g", "x/g") })
	try(func() error { return fsys.SyncDir("x") })
	try(func() error { _, err := fsys.Stat("x/g"); return err })
	try(func() error { _, err := fsys.Map("x/g"); return err })
	try(func() error { _, err := fsys.ReadDir("x"); return err })
	try(func() error { _, err := fsys.Lock("lock"); return err })
	return errors.Join(err, func() error {
		if err != nil {
			return nil
		}
		return fsys.RemoveAll("d")
	}())
}

func TestAFullDiskTakesWhatFits(t *testing.T) {
	m := NewMem()
	fsys := DiskFull(m, 5)
	f, err := fsys.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("abc")); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := f.Write([]byte("defg")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	if _, err := fsys.Create("b"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create: %v", err)
	}
	if err := fsys.MkdirAll("d/e", 0o777); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("mkdir: %v", err)
	}
	if got := tree(t, m, ""); got != "a=abcde" {
		t.Errorf("on the disk: %q", got)
	}
	if err := fsys.RemoveAll("a"); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(fsys, "b", []byte("12345")); err != nil {
		t.Errorf("after a removal: %v", err)
	}
}

func TestAMappingDoesNotFollowLaterWrites(t *testing.T) {
	m := NewMem()
	write(m, "a", "abc", false)
	mapping, err := m.Map("a")
	if err != nil {
		t.Fatal(err)
	}
	f, _ := m.OpenFile("a", os.O_RDWR, 0)
	f.Write([]byte("XYZ"))
	if got := string(mapping.Bytes()); got != "abc" {
		t.Errorf("got %q", got)
	}
}

func TestMemIsSafeForConcurrentUse(t *testing.T) {
	m := NewMem()
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			dir := fmt.Sprint("d", i)
			for range 50 {
				m.MkdirAll(dir, 0o777)
				write(m, dir+"/f", "x", true)
				m.Rename(dir+"/f", dir+"/g")
				m.SyncDir(dir)
				m.Crash(KeepSome, 1)
				m.RemoveAll(dir)
			}
		})
	}
	wait.Wait()
	if got := tree(t, m, ""); got != "" {
		t.Errorf("left: %q", got)
	}
}
