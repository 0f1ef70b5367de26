// What must hold whatever fails: after any crash, full disk, fault or damage, the newest intact checkpoint is complete, and
// it is one of those that were saved.

package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"frugal/trainer/internal/vfs"
)

const output = "/runs/output"

// scenarios start from a disk with what an earlier run left, and then save. The old checkpoint or the new one must be found.
var scenarios = []struct {
	name     string
	before   func(t *testing.T, s *Store)
	keep     int
	step     int64
	text     string
	old, new string
}{
	{"the first", func(*testing.T, *Store) {}, 1, 5, "new", "none", "5 new"},
	{"a second that prunes the first", func(t *testing.T, s *Store) { save(t, s, 4, "old") }, 1, 5, "new", "4 old", "5 new"},
	{"one more", func(t *testing.T, s *Store) { save(t, s, 3, "older"); save(t, s, 4, "old") }, 3, 5, "new", "4 old", "5 new"},
	{"one that prunes two", func(t *testing.T, s *Store) { save(t, s, 3, "older"); save(t, s, 4, "old") }, 1, 5, "new", "4 old", "5 new"},
	{"the same step again, different", func(t *testing.T, s *Store) { save(t, s, 5, "old") }, 1, 5, "new", "5 old", "5 new"},
	{"the same step again, identical", func(t *testing.T, s *Store) { save(t, s, 5, "same") }, 1, 5, "same", "5 same", "5 same"},
}

// durable is a disk on which everything that before saved is durable.
func durable(t *testing.T, before func(*testing.T, *Store)) *vfs.Mem {
	m := vfs.NewMem()
	before(t, open(t, m, output, 0))
	return m.Crash(vfs.KeepAll, 0)
}

// process is a program's life on a disk: it starts, saves, and may die anywhere. It reports whether Save said it was done.
func process(fsys vfs.FS, keep int, step int64, text string) (done bool, err error) {
	s, err := Open(Options{FS: fsys, Dir: output, Prefix: "model", Keep: keep})
	if err != nil {
		return false, err
	}
	_, err = s.Save(context.Background(), step, info, filesOf(text))
	return err == nil, err
}

func TestAfterACrashAnywhereTheOldOrTheNewIsThere(t *testing.T) {
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			points, found := 0, map[string]int{}
			for index, injector := range vfs.EveryFault(vfs.FailFrom, errors.New("power failure")) {
				m := durable(t, c.before)
				done, err := process(vfs.Fault(m, injector.Decide), c.keep, c.step, c.text)
				for _, mode := range vfs.CrashModes {
					seeds := uint64(6)
					if mode == vfs.KeepAll || mode == vfs.LoseUnsynced {
						seeds = 1
					}
					for seed := range seeds {
						after := m.Crash(mode, seed)
						s := open(t, after, output, c.keep)
						got := newest(t, s)
						found[got]++
						if got != c.new && (got != c.old || done) {
							t.Fatalf("operation %d (%v), %v %d: newest is %s; Save had returned %v", index, injector.Fired(), mode, seed, got, err)
						}
						for name := range strings.FieldsSeq(names(t, after, output)) { // no leftovers, nothing half-written or half-removed
							if _, err := Load(after, filepath.Join(output, name)); err != nil {
								t.Fatalf("operation %d (%v), %v %d: after Open: %v", index, injector.Fired(), mode, seed, err)
							}
						}
					}
				}
				points++
			}
			if found[c.old] == 0 || found[c.new] == 0 || points < 30 {
				t.Errorf("%d points found %v: the crashes prove nothing", points, found)
			}
		})
	}
}

func TestAFaultAnywhereLeavesTheOldIntactOrTheNewDone(t *testing.T) {
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			failed := 0
			for index, injector := range vfs.EveryFault(vfs.FailAt, syscall.EIO) {
				m := durable(t, c.before)
				done, err := process(vfs.Fault(m, injector.Decide), c.keep, c.step, c.text)
				if !done {
					failed++
					if !errors.Is(err, syscall.EIO) {
						t.Errorf("operation %d (%v): the error does not carry its cause: %v", index, injector.Fired(), err)
					}
					if !strings.Contains(err.Error(), output) {
						t.Errorf("operation %d: the error does not say where: %v", index, err)
					}
				}
				want := c.new
				if !done {
					want = c.old
				}
				// No crash: the same machine goes on. Then the program ends and starts again.
				if got := newest(t, &Store{Options: Options{FS: m, Dir: output, Prefix: "model"}}); got != want {
					t.Errorf("operation %d (%v), Save returned %v: newest is %s, want %s", index, injector.Fired(), err, got, want)
				}
				if got := newest(t, open(t, m, output, c.keep)); got != want {
					t.Errorf("operation %d (%v), Save returned %v: after Open newest is %s, want %s", index, injector.Fired(), err, got, want)
				}
			}
			if failed < 20 {
				t.Errorf("only %d faults made a save fail", failed)
			}
		})
	}
}

func TestAFullDiskKeepsTheOldAndTakesTheNewOnceThereIsSpace(t *testing.T) {
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			points := 0
			for budget := int64(0); ; budget += 97 {
				m := durable(t, c.before)
				s := open(t, m, output, c.keep)
				s.FS = vfs.DiskFull(m, budget)
				_, err := s.Save(context.Background(), c.step, info, filesOf(c.text))
				if err == nil {
					break
				}
				points++
				if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "checkpoint "+output+"/model_step_5: ") {
					t.Fatalf("%d bytes: got %v", budget, err)
				}
				if got := newest(t, s); got != c.old {
					t.Fatalf("%d bytes: newest is %s, want %s", budget, got, c.old)
				}
				if left := names(t, m, output); strings.Contains(left, ".") {
					t.Fatalf("%d bytes: left %s", budget, left)
				}
				s.FS = m
				save(t, s, c.step, c.text)
				if got := newest(t, s); got != c.new {
					t.Fatalf("%d bytes, then space: newest is %s, want %s", budget, got, c.new)
				}
			}
			if points < 20 {
				t.Errorf("the disk was full at %d points", points)
			}
		})
	}
}

func TestAFullDiskDuringWriteDirKeepsTheOldDirectory(t *testing.T) {
	for budget := int64(0); ; budget += 97 {
		m := vfs.NewMem()
		s := open(t, m, output, 1)
		if err := s.WriteDir("final_model", filesOf("old")); err != nil {
			t.Fatal(err)
		}
		s.FS = vfs.DiskFull(m, budget)
		err := s.WriteDir("final_model", filesOf("new"))
		want := "new"
		if err != nil {
			want = "old"
			if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), output+"/final_model: ") {
				t.Fatalf("got %v", err)
			}
		}
		if got := finalText(t, m); got != want {
			t.Fatalf("%d bytes: final_model is %s, want %s", budget, got, want)
		}
		if err == nil {
			break
		}
	}
}

// finalText returns which final_model there is; the test fails where it is incomplete.
func finalText(t *testing.T, fsys vfs.FS) string {
	t.Helper()
	dir := filepath.Join(output, "final_model")
	b, err := vfs.ReadFile(fsys, filepath.Join(dir, "model.safetensors"))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	text, _, _ := strings.Cut(string(b), " ")
	for name, want := range contentsOf(text) {
		if got, err := vfs.ReadFile(fsys, filepath.Join(dir, name)); err != nil || string(got) != string(want) {
			t.Fatalf("final_model is %s, but %s is not (%v)", text, name, err)
		}
	}
	return text
}

func TestACrashDuringWriteDirLeavesTheOldOrTheNew(t *testing.T) {
	found := map[string]int{}
	for index, injector := range vfs.EveryFault(vfs.FailFrom, errors.New("power failure")) {
		m := vfs.NewMem()
		if err := open(t, m, output, 1).WriteDir("final_model", filesOf("old")); err != nil {
			t.Fatal(err)
		}
		m = m.Crash(vfs.KeepAll, 0)
		s := open(t, m, output, 1)
		s.FS = vfs.Fault(m, injector.Decide)
		done := s.WriteDir("final_model", filesOf("new")) == nil
		for _, mode := range vfs.CrashModes {
			for seed := range uint64(6) {
				after := m.Crash(mode, seed)
				open(t, after, output, 1)
				got := finalText(t, after)
				found[got]++
				if got != "new" && (got != "old" || done) {
					t.Fatalf("operation %d (%v), %v %d: final_model is %s", index, injector.Fired(), mode, seed, got)
				}
			}
		}
	}
	if found["old"] == 0 || found["new"] == 0 {
		t.Errorf("found %v: the crashes prove nothing", found)
	}
}

// damages are the ways to spoil a file; each must change it.
var damages = map[string]func(t *testing.T, fsys vfs.FS, name string, rng *rand.Rand){
	"flip": func(t *testing.T, fsys vfs.FS, name string, rng *rand.Rand) {
		b, err := vfs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			b = []byte{0} // nothing to flip: it grows
		} else {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
		write(t, fsys, name, b)
	},
	"truncate": func(t *testing.T, fsys vfs.FS, name string, rng *rand.Rand) {
		b, err := vfs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, fsys, name, b[:rng.IntN(len(b))])
	},
	"delete": func(t *testing.T, fsys vfs.FS, name string, _ *rand.Rand) {
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
	},
}

func TestADamagedCheckpointIsPassedOverByName(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	files := []string{manifestName}
	for name := range contentsOf("") {
		files = append(files, name)
	}
	for _, name := range files {
		for how, damage := range damages {
			if name == "empty" && how == "truncate" {
				continue // nothing to cut off
			}
			t.Run(how+" "+name, func(t *testing.T) {
				m := vfs.NewMem()
				s := open(t, m, output, 0)
				save(t, s, 1, "first")
				save(t, s, 2, "second")
				damage(t, m, filepath.Join(output, "model_step_2", name), rng)
				c, passedOver, err := s.Newest()
				if err != nil || c.Step != 1 || textOf(t, c) != "first" {
					t.Fatalf("got %v, %v", c, err)
				}
				if want := "checkpoint " + output + "/model_step_2: " + name + ": "; len(passedOver) != 1 || !strings.HasPrefix(passedOver[0].Error(), want) {
					t.Errorf("passed over %v, want %s…", passedOver, want)
				}
				damage(t, m, filepath.Join(output, "model_step_1", name), rng)
				c, passedOver, err = s.Newest()
				if c != nil || len(passedOver) != 2 || !errors.Is(err, ErrNoneIntact) || !strings.HasPrefix(err.Error(), output) {
					t.Errorf("all damaged: got %v, %v, %v", c, passedOver, err)
				}
			})
		}
	}
}

func TestEveryBitOfTheManifestCounts(t *testing.T) {
	m := vfs.NewMem()
	save(t, open(t, m, output, 0), 1, "a")
	name := filepath.Join(output, "model_step_1", manifestName)
	b, err := vfs.ReadFile(m, name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, err := decode(b); err == nil {
				t.Fatalf("bit %d of byte %d: accepted", bit, i)
			}
			b[i] ^= 1 << bit
		}
	}
}

func TestAReadErrorPassesACheckpointOver(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m, output, 0)
	save(t, s, 1, "first")
	save(t, s, 2, "second")
	s.FS = vfs.Fault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.Contains(op.Path, "model_step_2/model.safetensors") {
			return syscall.EIO
		}
		return nil
	})
	c, passedOver, err := s.Newest()
	if err != nil || c.Step != 1 || len(passedOver) != 1 || !errors.Is(passedOver[0], syscall.EIO) {
		t.Errorf("got %v, %v, %v", c, passedOver, err)
	}
}

func TestWhatDoesNotReadBackIsNotSaved(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m, output, 1)
	save(t, s, 1, "first")
	s.FS = spoiling{m}
	_, err := s.Save(context.Background(), 2, info, filesOf("second"))
	if err == nil || !strings.Contains(err.Error(), "reading it back: ") || !strings.Contains(err.Error(), "model.safetensors: damaged") {
		t.Errorf("got %v", err)
	}
	if got := names(t, m, output); got != "model_step_1" {
		t.Errorf("left: %s", got)
	}
}

// spoiling is a disk that changes a bit of the weights when they are synced.
type spoiling struct{ vfs.FS }

func (s spoiling) OpenFile(name string, flag int, perm os.FileMode) (vfs.File, error) {
	f, err := s.FS.OpenFile(name, flag, perm)
	if err == nil && strings.HasSuffix(name, "model.safetensors") {
		f = spoilingFile{f}
	}
	return f, err
}

type spoilingFile struct{ vfs.File }

func (f spoilingFile) Sync() error {
	if _, err := f.Seek(10, 0); err != nil {
		return err
	}
	if _, err := f.Write([]byte{0xff}); err != nil {
		return err
	}
	return f.File.Sync()
}

// Runs come and go: each opens, saves some steps, and ends well, by a crash of some kind, or with a full disk; between them
// files are damaged. Whatever happened, the newest intact checkpoint is the one that the model says.
func TestAnyHistoryLeavesTheNewestIntactCheckpoint(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		disk := vfs.NewMem()
		keep := rapid.IntRange(1, 3).Draw(rt, "keep")
		sure, maybe := map[int64]string{}, map[int64][]string{} // what must be there, what may be
		step := int64(0)
		for run := range rapid.IntRange(1, 5).Draw(rt, "runs") {
			dies := rapid.IntRange(0, 150).Draw(rt, "dies at operation")
			dying := vfs.FailFrom(dies, errors.New("power failure"))
			s, err := Open(Options{FS: vfs.Fault(disk, dying.Decide), Dir: output, Prefix: "model", Keep: keep})
			for range rapid.IntRange(0, 3).Draw(rt, "saves") {
				if err != nil || dying.Fired() != nil {
					break
				}
				step += rapid.Int64Range(0, 2).Draw(rt, "advance")
				text := fmt.Sprint("run", run, "step", step)
				_, err = s.Save(context.Background(), step, info, filesOf(text))
				if err == nil {
					sure, maybe = map[int64]string{step: text}, map[int64][]string{}
				} else {
					maybe[step] = append(maybe[step], text)
				}
			}
			mode := rapid.SampledFrom(vfs.CrashModes).Draw(rt, "crash")
			disk = disk.Crash(mode, rapid.Uint64().Draw(rt, "seed"))
			s = open(t, disk, output, keep)
			got := newest(t, s)
			var allowed []string
			for step, text := range sure {
				allowed = append(allowed, fmt.Sprintf("%d %s", step, text))
			}
			if len(sure) == 0 {
				allowed = append(allowed, "none")
			}
			for step, texts := range maybe {
				for _, text := range texts {
					allowed = append(allowed, fmt.Sprintf("%d %s", step, text))
				}
			}
			if !slices.Contains(allowed, got) {
				rt.Fatalf("run %d, %v at operation %d: newest is %s, want one of %q", run, mode, dies, got, allowed)
			}
			if got == "none" {
				continue
			}
			c, _, _ := s.Newest() // from here on it is durable, and what might have been is decided
			sure, maybe = map[int64]string{c.Step: textOf(t, c)}, map[int64][]string{}
			step = c.Step
			if rapid.IntRange(0, 3).Draw(rt, "damage") == 0 {
				names := append(slices.Collect(func(yield func(string) bool) {
					for name := range contentsOf("") {
						if name != "empty" && !yield(name) {
							return
						}
					}
				}), manifestName)
				slices.Sort(names)
				name := rapid.SampledFrom(names).Draw(rt, "file")
				how := rapid.SampledFrom([]string{"delete", "flip", "truncate"}).Draw(rt, "how")
				damages[how](t, disk, filepath.Join(c.Dir, name), rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "where"), 0)))
				again, passedOver, err := s.Newest()
				if again != nil && again.Step >= c.Step || again == nil && err == nil || !strings.Contains(passedOver[0].Error(), name) {
					rt.Fatalf("%s of %s: newest is %v, passed over %v, %v", how, name, again, passedOver, err)
				}
				if err := errors.Join(s.FS.RemoveAll(c.Dir), s.FS.SyncDir(output)); err != nil {
					rt.Fatal(err)
				}
				sure, step = map[int64]string{}, 0
				if again != nil {
					sure, step = map[int64]string{again.Step: textOf(t, again)}, again.Step
				}
			}
		}
	})
}
