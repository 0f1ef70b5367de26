package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"frugal/trainer/internal/vfs"
)

var info = Info{RunID: "run-1", Fingerprints: map[string]string{"data": "d1", "tokenizer": "t1"}}

// filesOf are the files of a small checkpoint; text tells two checkpoints of one step apart.
func filesOf(text string) []File {
	files := contentsOf(text)
	var list []File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, File{name, func(w io.Writer) error {
			for _, piece := range bytes.SplitAfter(files[name], []byte("\n")) {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return list
}

func contentsOf(text string) map[string][]byte {
	return map[string][]byte{
		"config.json":                []byte("{}\n"),
		"empty":                      nil,
		"model.safetensors":          bytes.Repeat([]byte(text+" weights\n"), 60),
		"training_state.safetensors": bytes.Repeat([]byte(text+" state\n"), 120),
	}
}

func open(t testing.TB, fsys vfs.FS, dir string, keep int) *Store {
	t.Helper()
	s, err := Open(Options{FS: fsys, Dir: dir, Prefix: "model", Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func save(t testing.TB, s *Store, step int64, text string) {
	t.Helper()
	dir, err := s.Save(context.Background(), step, info, filesOf(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(s.Dir, fmt.Sprint("model_step_", step)); dir != want {
		t.Fatalf("saved in %s, want %s", dir, want)
	}
}

// textOf returns which filesOf a checkpoint holds; the test fails unless it holds all of one, readable.
func textOf(t testing.TB, c *Checkpoint) string {
	t.Helper()
	read := func(name string) []byte {
		m, err := c.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return bytes.Clone(m.Bytes())
	}
	text, _, _ := strings.Cut(string(read("model.safetensors")), " ")
	for name, want := range contentsOf(text) {
		if !bytes.Equal(read(name), want) {
			t.Fatalf("%s: %s is not as saved", c.Dir, name)
		}
	}
	return text
}

func newest(t testing.TB, s *Store) string {
	t.Helper()
	c, passedOver, err := s.Newest()
	if err != nil {
		t.Fatal(err, passedOver)
	}
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%d %s", c.Step, textOf(t, c))
}

func names(t testing.TB, fsys vfs.FS, dir string) string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// both runs a test on the operating system's disk and on the memory disk.
func both(t *testing.T, test func(t *testing.T, fsys vfs.FS, dir string)) {
	t.Run("OS", func(t *testing.T) { test(t, vfs.OS, filepath.Join(t.TempDir(), "runs", "output")) })
	t.Run("Mem", func(t *testing.T) { test(t, vfs.NewMem(), "/runs/output") })
}

func TestWhatIsSavedIsTheNewest(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		s := open(t, fsys, dir, 0)
		if got := newest(t, s); got != "none" {
			t.Errorf("at first: %s", got)
		}
		for _, step := range []int64{9, 10, 100, 20} { // not in the order of the names
			save(t, s, step, "a")
		}
		if got := newest(t, s); got != "100 a" {
			t.Errorf("newest: %s", got)
		}
		c, _, err := s.Newest()
		if err != nil {
			t.Fatal(err)
		}
		if c.Manifest.RunID != info.RunID || !maps.Equal(c.Manifest.Fingerprints, info.Fingerprints) || c.Manifest.Step != 100 {
			t.Errorf("manifest: %+v", c.Manifest)
		}
		if _, err := c.Open("nothing"); err == nil || !strings.Contains(err.Error(), "model_step_100: it has no nothing") {
			t.Errorf("a file that is not there: %v", err)
		}
		if got := names(t, fsys, dir); got != "model_step_10 model_step_100 model_step_20 model_step_9" {
			t.Errorf("left: %s", got)
		}
	})
}

func TestTheOldestBeyondKeepAreRemoved(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		s := open(t, fsys, dir, 2)
		for _, step := range []int64{8, 9, 10, 11} {
			save(t, s, step, "a")
		}
		if got := names(t, fsys, dir); got != "model_step_10 model_step_11" {
			t.Errorf("left: %s", got)
		}
		s = open(t, fsys, dir, 1)
		save(t, s, 5, "b") // a run that went back: what it just saved must survive its own pruning
		if got := names(t, fsys, dir); got != "model_step_5" {
			t.Errorf("left: %s", got)
		}
	})
}

func TestPruneFinishesWhatAKillLeft(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		all := open(t, fsys, dir, 0)
		for _, step := range []int64{7, 8, 9, 10} {
			save(t, all, step, "a")
		}
		for _, c := range []struct {
			keep int
			safe int64
			want string
		}{
			{0, 10, "model_step_10 model_step_7 model_step_8 model_step_9"},
			{4, 10, "model_step_10 model_step_7 model_step_8 model_step_9"},
			{3, 10, "model_step_10 model_step_8 model_step_9"},
			{2, 8, "model_step_10 model_step_8"},  // 10 was passed over: 8 is what the run stands on
			{2, 99, "model_step_10 model_step_8"}, // it stands on one of another directory
			{1, 8, "model_step_8"},
		} {
			open(t, fsys, dir, c.keep).Prune(c.safe)
			if got := names(t, fsys, dir); got != c.want {
				t.Errorf("keep %d, safe %d: left %s, want %s", c.keep, c.safe, got, c.want)
			}
		}
	})
}

func TestAnExistingCheckpointStaysIfIdenticalElseIsReplaced(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		s := open(t, fsys, dir, 0)
		save(t, s, 5, "a")
		path := filepath.Join(dir, "model_step_5")
		write(t, fsys, filepath.Join(path, "note.txt"), []byte("mine"))
		var logged []string
		s.Log = func(format string, a ...any) { logged = append(logged, fmt.Sprintf(format, a...)) }

		save(t, s, 5, "a")
		if got := names(t, fsys, path); !strings.Contains(got, "note.txt") {
			t.Errorf("an identical checkpoint was replaced: %s", got)
		}
		if len(logged) != 1 || !strings.Contains(logged[0], "identical") {
			t.Errorf("logged %q", logged)
		}
		save(t, s, 5, "b")
		if got := newest(t, s); got != "5 b" {
			t.Errorf("newest: %s", got)
		}
		write(t, fsys, filepath.Join(path, "config.json"), []byte("damaged"))
		save(t, s, 5, "b") // same manifest, but not intact
		if got := newest(t, s); got != "5 b" {
			t.Errorf("newest: %s", got)
		}
		if got := names(t, fsys, dir); got != "model_step_5" {
			t.Errorf("left: %s", got)
		}
	})
}

func write(t testing.TB, fsys vfs.FS, name string, b []byte) {
	t.Helper()
	if err := vfs.WriteFile(fsys, name, b); err != nil {
		t.Fatal(err)
	}
}

func TestWriteDirReplacesTheWholeDirectory(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		s := open(t, fsys, dir, 1)
		if err := s.WriteDir("final_model", filesOf("a")); err != nil {
			t.Fatal(err)
		}
		write(t, fsys, filepath.Join(dir, "final_model", "stale"), nil)
		if err := s.WriteDir("final_model", filesOf("b")); err != nil {
			t.Fatal(err)
		}
		final := filepath.Join(dir, "final_model")
		if got, want := names(t, fsys, final), "config.json empty model.safetensors training_state.safetensors"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for name, want := range contentsOf("b") {
			if got, err := vfs.ReadFile(fsys, filepath.Join(final, name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := names(t, fsys, dir); got != "final_model" {
			t.Errorf("left: %s", got)
		}
		if got := newest(t, s); got != "none" {
			t.Errorf("taken for a checkpoint: %s", got)
		}
	})
}

func TestStrayNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, vfs.OS, dir, 1)
	other, err := Open(Options{FS: vfs.OS, Dir: dir, Prefix: "model_b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Save(context.Background(), 99, info, filesOf("other")); err != nil {
		t.Fatal(err)
	}
	save(t, s, 3, "a")
	for _, name := range []string{"model_step_abc", "model_step_-1", "model_step_007", "model_step_+8", "model_step_", "model_step_9.bak", "model_step_10_old",
		"model_step_99999999999999999999", "Model_step_9", "xmodel_step_9", "model_step_9_step_9"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, "model_step_3"))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, vfs.OS, filepath.Join(dir, "model_step_50"), []byte("a file"))
	if err := os.Symlink("nowhere", filepath.Join(dir, "model_step_51")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("model_step_3", filepath.Join(dir, "model_step_52")); err != nil {
		t.Fatal(err)
	}
	before := names(t, vfs.OS, dir)

	c, passedOver, err := s.Newest()
	if err != nil || c.Step != 3 || textOf(t, c) != "a" {
		t.Fatalf("got %+v, %v", c, err)
	}
	for i, want := range []string{
		"model_step_52: manifest.json: it is of step 3",
		"model_step_51: file does not exist",
		"model_step_50: not a directory",
	} {
		if i >= len(passedOver) || !strings.HasSuffix(passedOver[i].Error(), want) {
			t.Errorf("passed over: %v, want …%s", passedOver, want)
		}
	}
	if c, _, err := other.Newest(); err != nil || c.Step != 99 {
		t.Errorf("of the other model: %+v, %v", c, err)
	}
	save(t, s, 4, "b") // prunes step 3 and nothing else
	if got, want := names(t, vfs.OS, dir), strings.Replace(before, "model_step_3 ", "model_step_4 ", 1); got != want {
		t.Errorf("after pruning:\n%s\nwant\n%s", got, want)
	}
}

func TestALinkToACheckpointIsOne(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	s := open(t, vfs.OS, dir, 1)
	save(t, open(t, vfs.OS, elsewhere, 1), 7, "far")
	if err := os.Symlink(filepath.Join(elsewhere, "model_step_7"), filepath.Join(dir, "model_step_7")); err != nil {
		t.Fatal(err)
	}
	if got := newest(t, s); got != "7 far" {
		t.Errorf("newest: %s", got)
	}
	save(t, s, 7, "near")
	if got := newest(t, s); got != "7 near" {
		t.Errorf("newest: %s", got)
	}
	if got := newest(t, open(t, vfs.OS, elsewhere, 1)); got != "7 far" {
		t.Errorf("what the link led to: %s", got)
	}
}

func TestSupersedeSetsLaterCheckpointsAside(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		s := open(t, fsys, dir, 0)
		for range 2 {
			for _, step := range []int64{10, 20, 30} {
				save(t, s, step, "a")
			}
			if err := s.Supersede(20); err != nil {
				t.Fatal(err)
			}
			if got := newest(t, s); got != "20 a" {
				t.Errorf("newest: %s", got)
			}
		}
		if err := s.Supersede(-1); err != nil {
			t.Fatal(err)
		}
		if got := newest(t, s); got != "none" {
			t.Errorf("newest: %s", got)
		}
		want := "model_step_10.superseded model_step_20.superseded model_step_30.superseded model_step_30.superseded-2"
		if got := names(t, fsys, dir); got != want {
			t.Errorf("left: %s", got)
		}
		if c, err := Load(fsys, filepath.Join(dir, "model_step_30.superseded")); err != nil || c.Step != 30 {
			t.Errorf("a superseded checkpoint by its name: %v", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	s := open(t, vfs.NewMem(), "/output", 1)
	save(t, s, 1, "a")
	file := func(name string) []File { return []File{{name, func(io.Writer) error { return nil }}} }
	saved := func(step int64, info Info, files []File) error {
		_, err := s.Save(context.Background(), step, info, files)
		return err
	}
	broken := errors.New("the device is gone")
	opened := func(prefix string, keep int) error {
		_, err := Open(Options{FS: vfs.NewMem(), Dir: "/output", Prefix: prefix, Keep: keep})
		return err
	}
	for _, c := range []struct {
		reason string
		err    error
		want   string
	}{
		{"a negative step", saved(-1, info, nil), "negative step"},
		{"a file named manifest.json", saved(2, info, file("manifest.json")), `checkpoint /output/model_step_2: file name "manifest.json" cannot be`},
		{"a file in a directory", saved(2, info, file("a/b")), `"a/b" is not a plain name`},
		{"a file above", saved(2, info, file("..")), `".." is not a plain name`},
		{"a file twice", saved(2, info, append(file("a"), file("a")...)), "a is there twice"},
		{"a name in Latin-1", saved(2, info, file("\xe7")), "cannot be"},
		{"a run id in Latin-1", saved(2, Info{RunID: "\xe7"}, nil), "not valid UTF-8"},
		{"a fingerprint in Latin-1", saved(2, Info{Fingerprints: map[string]string{"a": "\xe7"}}, nil), "not valid UTF-8"},
		{"a source that fails", saved(2, info, []File{{"a", func(io.Writer) error { return broken }}}), "checkpoint /output/model_step_2: a: the device is gone"},
		{"a directory elsewhere", s.WriteDir("../final_model", nil), "is not a plain name"},
		{"a hidden directory", s.WriteDir(".saving-x", nil), "is not a plain name"},
		{"no model name", opened("", 1), `model name "" is not a plain name`},
		{"a path as model name", opened("a/b", 1), `model name "a/b" is not a plain name`},
		{"a negative number to keep", opened("model", -1), "cannot keep -1"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", c.reason, c.err, c.want)
		}
	}
	if got := names(t, s.FS, "/output"); got != "model_step_1" {
		t.Errorf("left: %s", got)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m, "/output", 0)
	save(t, s, 1, "a")
	save(t, s, 2, "a")
	if err := s.WriteDir("final_model", filesOf("a")); err != nil {
		t.Fatal(err)
	}
	write(t, m, "/output/file", nil)
	encoded := Manifest{Files: map[string]Sum{"../model_step_1/config.json": {}}, FormatVersion: 1}.encode()
	for name, b := range map[string][]byte{
		"newer":     []byte(`{"format_version": 2, "shards": []}`),
		"traversal": encoded,
		"text":      []byte("hello"),
		"nothing":   nil,
		"version_0": Manifest{}.encode(),
	} {
		if err := m.MkdirAll("/output/"+name, 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, m, "/output/"+name+"/manifest.json", b)
	}
	for dir, want := range map[string]string{
		"/output/model_step_1": "",
		"/nowhere":             "checkpoint /nowhere: file does not exist",
		"/output/file":         "checkpoint /output/file: not a directory",
		"/output/final_model":  "checkpoint /output/final_model: manifest.json: missing",
		"/output":              "checkpoint /output: manifest.json: missing (the directory holds checkpoints: ",
		"/output/newer":        "manifest.json: format version 2, this program knows up to 1",
		"/output/traversal":    `manifest.json: file name "../model_step_1/config.json" is not a plain name`,
		"/output/text":         "manifest.json: damaged (not JSON",
		"/output/nothing":      "manifest.json: damaged (not JSON",
		"/output/version_0":    "manifest.json: format version 0 and step 0 cannot be",
	} {
		_, err := Load(m, dir)
		if want == "" != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", dir, err, want)
		}
	}
	if _, err := Load(m, "/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestNewestWithoutAnOutputDirectory(t *testing.T) {
	if c, passedOver, err := Newest(vfs.OS, filepath.Join(t.TempDir(), "nothing"), "model"); c != nil || passedOver != nil || err != nil {
		t.Errorf("got %v, %v, %v", c, passedOver, err)
	}
}

// The bytes of docs/format.md.
func TestTheManifestsBytes(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m, "/output", 0)
	files := []File{
		{"b.json", func(w io.Writer) error { _, err := io.WriteString(w, "{}\n"); return err }},
		{"a<b>.bin", func(io.Writer) error { return nil }},
	}
	if _, err := s.Save(context.Background(), 20, Info{RunID: "2026 <é>", Fingerprints: map[string]string{"tokenizer": "t", "data": "d"}}, files); err != nil {
		t.Fatal(err)
	}
	got, err := vfs.ReadFile(m, "/output/model_step_20/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/manifest.json") // python3 scripts/golden_manifest.py
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCancellationStopsASaveAndLeavesNothing(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m, "/output", 1)
	save(t, s, 1, "a")
	ctx, cancel := context.WithCancel(context.Background())
	endless := []File{{"a", func(w io.Writer) error {
		for i := 0; ; i++ {
			if i == 3 {
				cancel()
			}
			if _, err := w.Write(make([]byte, bufferSize)); err != nil {
				return err
			}
		}
	}}}
	if _, err := s.Save(ctx, 2, info, endless); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := names(t, m, "/output"); got != "model_step_1" {
		t.Errorf("left: %s", got)
	}
}

func TestOneRunAtATime(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		first, err := Lock(fsys, dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Lock(fsys, dir)
		if want := fmt.Sprintf("%s: in use by another run (pid %d)", dir, os.Getpid()); err == nil || err.Error() != want || !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Lock(fsys, dir)
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	})
}

func TestOfManyRunsAtOnceOneGetsTheLock(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		got := make(chan io.Closer)
		for range 16 {
			go func() {
				lock, err := Lock(fsys, dir)
				if err != nil && !errors.Is(err, vfs.ErrLocked) {
					t.Error(err)
				}
				got <- lock
			}()
		}
		held := 0
		for range 16 {
			if lock := <-got; lock != nil {
				held++
				defer lock.Close()
			}
		}
		if held != 1 {
			t.Errorf("%d runs have the lock", held)
		}
	})
}

// BenchmarkSave reports what a save of 500 MB costs: go test -run - -bench Save -benchtime 3x ./trainer/checkpoint
func BenchmarkSave(b *testing.B) {
	s := open(b, vfs.OS, b.TempDir(), 1)
	tensor := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	const size = 500 << 20
	b.SetBytes(size)
	step := int64(0)
	for b.Loop() {
		step++
		start := time.Now()
		_, err := s.Save(context.Background(), step, info, []File{{"model.safetensors", func(w io.Writer) error {
			for range size / len(tensor) {
				if _, err := w.Write(tensor); err != nil {
					return err
				}
			}
			return nil
		}}})
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("step %d: %.2f s", step, time.Since(start).Seconds())
	}
}
