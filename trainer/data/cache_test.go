package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"frugal/trainer/internal/vfs"
)

// logged has an Options' log lines collected.
func logged(o *Options) *strings.Builder {
	var mu sync.Mutex
	var b strings.Builder
	o.Log = func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&b, format+"\n", a...)
	}
	return &b
}

// cacheFile returns the one cache of a directory, and its contents.
func cacheFile(t testing.TB, o Options) (string, []byte) {
	t.Helper()
	names := cacheFiles(t, o.FS, o.CacheDir)
	if len(names) != 1 {
		t.Fatalf("want one cache, there are %v", names)
	}
	b, err := vfs.ReadFile(o.FS, names[0])
	if err != nil {
		t.Fatal(err)
	}
	return names[0], b
}

func TestSecondStartTakesTheCacheAsItIs(t *testing.T) {
	dir := writeFiles(t, largeFiles(t))
	addFiles(t, dir, map[string]string{"a.txt": story(1, 9), "c.jsonl": `{"text":"olá"}`})
	o := testOptions(dir, "*.*")
	first := mustOpen(t, o).Fingerprint()
	name, contents := cacheFile(t, o)
	// Files are compared by their contents: a checkout gives them another time.
	for _, file := range []string{"a.txt", "b.txt", "d.parquet", "e.bin", "f.jsonl"} {
		if err := os.Chtimes(filepath.Join(dir, file), time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	log := logged(&o)
	if again := mustOpen(t, o).Fingerprint(); again != first {
		t.Errorf("fingerprint %s, was %s", again, first)
	}
	if again, b := cacheFile(t, o); again != name || !bytes.Equal(b, contents) || strings.Contains(log.String(), "tokenised") {
		t.Errorf("the cache was made again: %s", log)
	}
}

// longStory is longer than what a source's sample covers wholly.
func longStory() string { return strings.Repeat(story(7, 10), 200) }

// largeFiles are files of every kind that samples do not cover wholly.
func largeFiles(t *testing.T) map[string]string {
	t.Helper()
	type row struct {
		Text string `parquet:"text"`
	}
	rows := make([]row, 2000)
	for i := range rows {
		rows[i].Text = story(i, 1)
	}
	var table bytes.Buffer
	if err := parquet.Write(&table, rows); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"b.txt": longStory(), "d.parquet": table.String(), "e.bin": strings.Repeat("\x07\x00\x61\x00", 1<<15),
		"f.jsonl": strings.Repeat(`{"text":"uma linha"}`+"\n", 5000),
	}
	for name, text := range files {
		if sampledWhole(int64(len(text))) {
			t.Fatalf("%s is too small: %d bytes", name, len(text))
		}
	}
	return files
}

func TestChangedSourcesAreTokenisedAgain(t *testing.T) {
	tests := []struct {
		name, why string
		change    func(dir string) error
	}{
		{"a byte of a short file", "a.txt has changed", func(dir string) error { return patch(dir+"/a.txt", 9) }},
		{"a byte of a long file", "b.txt has changed", func(dir string) error { return patch(dir+"/b.txt", 9) }},
		{"a byte of a long file, between the pieces of its sample", "b.txt has changed", func(dir string) error {
			return errors.Join(patch(dir+"/b.txt", 6000), os.Chtimes(dir+"/b.txt", time.Now(), time.Now().Add(time.Hour)))
		}},
		{"a longer file", "a.txt has changed", func(dir string) error { return os.WriteFile(dir+"/a.txt", []byte(story(1, 10)), 0o666) }},
		{"another file", "c.txt is new", func(dir string) error { return os.WriteFile(dir+"/c.txt", []byte("mais"), 0o666) }},
		{"a file less", "a.txt is no longer among the sources", func(dir string) error { return os.Remove(dir + "/a.txt") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := writeFiles(t, map[string]string{"a.txt": story(1, 9), "b.txt": longStory()})
			o := testOptions(dir, "*.txt")
			mustOpen(t, o)
			if err := tt.change(dir); err != nil {
				t.Fatal(err)
			}
			log := logged(&o)
			got := mustOpen(t, o).Fingerprint()
			if !strings.Contains(log.String(), tt.why+"; it is made again") {
				t.Errorf("want %q in the log: %s", tt.why, log)
			}
			cacheFile(t, o) // replaced, not added
			o.CacheDir = t.TempDir()
			if fresh := mustOpen(t, o).Fingerprint(); got != fresh {
				t.Error("it is not what a fresh cache holds")
			}
		})
	}
}

func patch(name string, at int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("X"), at)
	return errors.Join(err, f.Close())
}

func TestAnotherTokenizerHasACacheOfItsOwn(t *testing.T) {
	o := testOptions(writeFiles(t, map[string]string{"a.txt": story(1, 9)}), "a.txt")
	first := mustOpen(t, o).Fingerprint()
	other := o
	other.Encoder, other.VocabSize = patterns["gpt2"], 1<<31
	if mustOpen(t, other).Fingerprint() == first {
		t.Error("the fingerprint is the same")
	}
	if names := cacheFiles(t, o.FS, o.CacheDir); len(names) != 2 {
		t.Errorf("caches: %v", names)
	}
}

// damage opens a dataset on a damaged cache and checks that it was noticed and repaired.
func damage(t *testing.T, o Options, what string, damaged []byte) {
	t.Helper()
	log := logged(&o)
	name, whole := cacheFile(t, o)
	if err := vfs.WriteFile(o.FS, name, damaged); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o)
	if _, b := cacheFile(t, o); !bytes.Equal(b, whole) {
		t.Fatalf("%s: not repaired", what)
	}
	if !strings.Contains(log.String(), "token cache "+name+": ") || !strings.Contains(log.String(), "; it is made again") {
		t.Fatalf("%s: the log does not say why: %s", what, log)
	}
}

func TestDamagedCachesAreNoticedAndMadeAgain(t *testing.T) {
	o, _ := memOptions(t, map[string]string{"a.txt": story(1, 30), "b.txt": story(2, 3)})
	mustOpen(t, o)
	_, whole := cacheFile(t, o)
	for at := range headerBytes {
		damage(t, o, fmt.Sprintf("header byte %d", at), flipped(whole, at, 1<<(at%8)))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		at := headerBytes + random.IntN(len(whole)-headerBytes)
		damage(t, o, fmt.Sprintf("payload byte %d", at), flipped(whole, at, 1<<random.IntN(8)))
	}
	damage(t, o, "last byte", flipped(whole, len(whole)-1, 1))
	for _, size := range []int{0, 1, headerBytes - 1, headerBytes, len(whole) / 2, len(whole) - 1} {
		damage(t, o, fmt.Sprintf("cut at %d", size), whole[:size])
	}
	damage(t, o, "longer", append(bytes.Clone(whole), 0))
	damage(t, o, "another file", bytes.Repeat([]byte("lixo "), 200))
	h, err := parseHeader(whole, int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range []func(*header){
		func(h *header) { h.width = 4 }, func(h *header) { h.sections++ }, func(h *header) { h.tokens = 1 << 62 },
		func(h *header) { h.documents = -1 }, func(h *header) { h.documents-- }, func(h *header) { h.bytes++ },
		func(h *header) { h.index += 8 }, func(h *header) { h.identity[0]++ }, func(h *header) { h.largest = 257 },
	} {
		edited := *h
		edit(&edited)
		damage(t, o, fmt.Sprintf("header %+v with a good SHA-256", edited), append(edited.marshal(), whole[headerBytes:]...))
	}
}

func flipped(b []byte, at int, mask byte) []byte {
	b = bytes.Clone(b)
	b[at] ^= mask
	return b
}

func TestTheCacheDoesNotDependOnTheNumberOfWorkers(t *testing.T) {
	var lines strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&lines, "{\"text\":\"documento %d %s\"}\n", i, strings.Repeat("x", i%50))
	}
	dir := writeFiles(t, map[string]string{"a.txt": longStory() + longStory(), "b.jsonl": lines.String(), "c.txt": ""})
	var want []byte
	for _, workers := range []int{1, 2, 7} {
		o := testOptions(dir, "*.txt", "*.jsonl")
		o.CacheDir, o.Workers = t.TempDir(), workers
		mustOpen(t, o)
		_, b := cacheFile(t, o)
		if want == nil {
			want = b
		}
		if !bytes.Equal(b, want) {
			t.Errorf("%d workers give another cache", workers)
		}
	}
}

func TestFirstErrorOfTheCorpusIsReportedWhateverTheNumberOfWorkers(t *testing.T) {
	good := strings.Repeat(`{"text":"bom"}`+"\n", 20000)
	dir := writeFiles(t, map[string]string{"a.jsonl": good + "mau\n" + good + "pior\n", "b.jsonl": "mau também\n"})
	for _, workers := range []int{1, 2, 7} {
		o := testOptions(dir, "*.jsonl")
		o.Workers = workers
		_, err := Open(t.Context(), o)
		if want := "data: " + dir + "/a.jsonl: line 20001: not a JSON object"; err == nil || err.Error() != want {
			t.Errorf("%d workers: %v, want %s", workers, err, want)
		}
	}
}

func TestProgressGoesUpToTheSizeOfTheSources(t *testing.T) {
	text := longStory()
	dir := writeFiles(t, map[string]string{"a.txt": text, "b.txt": "fim", "c.jsonl": `{"text":"olá"}` + "\n\n\n"})
	o := testOptions(dir, "*.txt", "c.jsonl")
	was, calls := int64(0), 0
	want := int64(len(text) + len("fim") + len(`{"text":"olá"}`) + 3)
	o.Progress = func(what string, done, total int64) {
		if calls++; what != "tokenising" || total != want || done < was {
			t.Errorf("%s: %d of %d after %d", what, done, total, was)
		}
		was = done
	}
	mustOpen(t, o)
	if was != want || calls < 3 {
		t.Errorf("ended at %d of %d after %d calls", was, want, calls)
	}
}

func TestCancelledBuildLeavesNothingAndTheNextOneIsWhole(t *testing.T) {
	o := testOptions(writeFiles(t, map[string]string{"a.txt": strings.Repeat(longStory(), 5)}), "a.txt")
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(string, int64, int64) { cancel() }
	if _, err := Open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if left := cacheFiles(t, o.FS, o.CacheDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	o.Progress = nil
	if got := mustOpen(t, o).Train().Bytes; got != 5*int64(len(longStory())) {
		t.Errorf("%d bytes", got)
	}
}

func TestSeveralProcessesMakeOneCache(t *testing.T) {
	o := testOptions(writeFiles(t, map[string]string{"a.txt": longStory()}), "a.txt")
	log := logged(&o)
	var group sync.WaitGroup
	fingerprints := make([]string, 4)
	for i := range fingerprints {
		group.Go(func() {
			d, err := Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			fingerprints[i] = d.Fingerprint()
			d.Close()
		})
	}
	group.Wait()
	for _, f := range fingerprints {
		if f != fingerprints[0] {
			t.Errorf("fingerprints differ: %v", fingerprints)
		}
	}
	if n := strings.Count(log.String(), "tokenised"); n != 1 {
		t.Errorf("tokenised %d times: %s", n, log)
	}
}

func TestWaitingForAnotherProcessCanBeCancelled(t *testing.T) {
	o := testOptions(writeFiles(t, map[string]string{"a.txt": story(1, 9)}), "a.txt")
	d := mustOpen(t, o)
	name, _ := cacheFile(t, o)
	lock, err := o.FS.Lock(name + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if again := mustOpen(t, o); again.Fingerprint() != d.Fingerprint() { // a whole cache needs no lock
		t.Error("another cache")
	}
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	log := logged(&o)
	if _, err := Open(ctx, o); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(log.String(), "another process is making it") {
		t.Errorf("error %v, log %s", err, log)
	}
}

func TestFullDiskIsAnErrorAndLeavesTheOldCache(t *testing.T) {
	noteAlways(t)
	files := map[string]string{"a.txt": story(1, 200), "b.txt": story(3, 100)}
	o, disk := memOptions(t, files)
	mustOpen(t, o)
	name, whole := cacheFile(t, o)
	if err := vfs.WriteFile(disk, "a.txt", []byte(story(2, 300))); err != nil {
		t.Fatal(err)
	}
	for budget := int64(0); ; budget += int64(len(whole)) / 19 {
		full := o
		full.FS = vfs.DiskFull(disk, budget)
		d, err := Open(t.Context(), full)
		if err == nil {
			d.Close()
			if budget < int64(len(whole)) {
				t.Errorf("a cache of %d bytes fits in %d", len(whole), budget)
			}
			break
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "data: token cache: ") {
			t.Fatalf("budget %d: %v", budget, err)
		}
		if again, b := cacheFile(t, o); again != name || !bytes.Equal(b, whole) {
			t.Fatalf("budget %d: the old cache is not what it was", budget)
		}
	}
}

// Whatever single operation fails, the outcome is an error or the right data, and the next start has the right data.
func TestEveryFaultIsAnErrorOrDoesNoHarm(t *testing.T) {
	noteAlways(t)
	files := map[string]string{"a.txt": story(1, 30), "b.txt": story(2, 3)}
	o, _ := memOptions(t, files)
	want := mustOpen(t, o).Fingerprint()
	injected := errors.New("injected")
	for _, prepare := range []string{"no cache", "a damaged cache", "a good cache"} {
		points := 0
		for index, injector := range vfs.EveryFault(vfs.FailAt, injected) {
			o, disk := memOptions(t, files)
			if prepare != "no cache" {
				mustOpen(t, o)
				if name, b := cacheFile(t, o); prepare == "a damaged cache" {
					if err := vfs.WriteFile(disk, name, flipped(b, 300, 1)); err != nil {
						t.Fatal(err)
					}
				}
			}
			faulty := o
			faulty.FS = vfs.Fault(disk, injector.Decide)
			if d, err := Open(t.Context(), faulty); err == nil {
				if d.Fingerprint() != want {
					t.Errorf("%s, fault %d (%+v): other data", prepare, index, injector.Fired())
				}
				d.Close()
			} else if !errors.Is(err, injected) || !strings.HasPrefix(err.Error(), "data: ") {
				t.Errorf("%s, fault %d (%+v): %v", prepare, index, injector.Fired(), err)
			}
			if got := mustOpen(t, o).Fingerprint(); got != want {
				t.Errorf("%s, fault %d (%+v): other data afterwards", prepare, index, injector.Fired())
			}
			points = index
		}
		if points < 10 {
			t.Errorf("%s: only %d fault points", prepare, points)
		}
	}
}

// The power may fail at any moment: what is found afterwards is never mistaken for a good cache.
func TestEveryCrashLeavesNoFalseCache(t *testing.T) {
	noteAlways(t)
	files := map[string]string{"a.txt": story(1, 30), "b.txt": story(2, 3)}
	o, _ := memOptions(t, files)
	want := mustOpen(t, o).Fingerprint()
	gone := errors.New("power failure")
	for index, injector := range vfs.EveryFault(vfs.FailFrom, gone) {
		for _, mode := range vfs.CrashModes {
			o, disk := memOptions(t, files)
			o.FS = vfs.Fault(disk, injector.Decide)
			if d, err := Open(t.Context(), o); err == nil {
				d.Close()
			}
			o.FS = disk.Crash(mode, uint64(index))
			if got := mustOpen(t, o).Fingerprint(); got != want {
				t.Errorf("crash %v at %d (%+v): other data", mode, index, injector.Fired())
			}
		}
	}
}

func TestFingerprintCoversWhatDecidesTheWindows(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.txt": story(1, 60), "b.txt": story(2, 60)})
	open := func(change func(*Options)) string {
		o := testOptions(dir, "*.txt")
		change(&o)
		return mustOpen(t, o).Fingerprint()
	}
	base := open(func(*Options) {})
	for name, change := range map[string]func(*Options){
		"seed": func(o *Options) { o.Seed++ }, "positions": func(o *Options) { o.Positions = 8 },
		"packing": func(o *Options) { o.Packing = false }, "window": func(o *Options) { o.BatchSize++ },
		"fraction": func(o *Options) { o.EvalFraction = 0.5 }, "files": func(o *Options) { o.Train = o.Train[:1]; o.Train[0] = dir + "/a.txt" },
		"evaluation": func(o *Options) { o.Eval = o.Train },
	} {
		if open(change) == base {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
	for name, change := range map[string]func(*Options){
		"batch × accumulation": func(o *Options) { o.BatchSize, o.Accumulation = 1, 4 }, "workers": func(o *Options) { o.Workers = 5 },
		"cache directory": func(o *Options) { o.CacheDir = t.TempDir() },
	} {
		if open(change) != base {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
}

func TestOptionsThatCannotWorkAreErrors(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.txt": story(1, 60)})
	for want, change := range map[string]func(*Options){
		"data: a file system, an encoder and a cache directory are needed":                  func(o *Options) { o.CacheDir = "" },
		"data: no training files are named (data.train)":                                    func(o *Options) { o.Train = nil },
		"data: eval_fraction 1 is not in [0, 1)":                                            func(o *Options) { o.EvalFraction = 1 },
		"data: rows of 1 tokens hold no target (max_position_embeddings must be 2 or more)": func(o *Options) { o.Positions = 1 },
		"data: batch_size 2 × gradient_accumulation_steps 0 is no window":                   func(o *Options) { o.Accumulation = 0 },
		"data: the end token 256 is outside the vocabulary (vocab_size 256)":                func(o *Options) { o.VocabSize = 256 },
		"data: " + dir + "/b.txt: no such file":                                             func(o *Options) { o.Train = []string{dir + "/b.txt"} },
		"data: " + dir + "/*.json: no file matches":                                         func(o *Options) { o.Train = []string{dir + "/*.json"} },
		"data: " + dir + ": is a directory (its files are " + dir + "/*)":                   func(o *Options) { o.Train = []string{dir} },
		"data: " + dir + "/[a.txt: malformed pattern":                                       func(o *Options) { o.Eval = []string{dir + "/[a.txt"} },
		"data: " + dir + "/a.txt: the tokenizer gives token 80, vocab_size is 80":           func(o *Options) { o.VocabSize, o.EndToken = 80, 0 },
		"data: token cache: mkdir " + dir + "/a.txt: not a directory":                       func(o *Options) { o.CacheDir = dir + "/a.txt/cache" },
	} {
		o := testOptions(dir, "a.txt")
		change(&o)
		if d, err := Open(t.Context(), o); err == nil {
			d.Close()
			t.Errorf("accepted; want %s", want)
		} else if err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// A vocabulary that has become too small for a cache made before is found again in the source.
func TestSmallerVocabularyIsNoticedOnAnOldCache(t *testing.T) {
	o := testOptions("testdata/golden", "nanogpt.bin")
	o.CacheDir, o.VocabSize, o.EndToken = t.TempDir(), 60000, 50256
	o.Positions = 4
	mustOpen(t, o)
	o.VocabSize, o.EndToken = 50257, 50256
	mustOpen(t, o)
	o.VocabSize, o.EndToken = 1000, 999
	_, err := Open(t.Context(), o)
	if want := "data: testdata/golden/nanogpt.bin: byte 2: token 3290, vocab_size is 1000"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
