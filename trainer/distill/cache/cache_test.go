package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"frugal/trainer/internal/vfs"
)

func contents(vocabulary, k int) Contents {
	return Contents{VocabSize: vocabulary, TopK: k, Temperature: 2, Precision: "fp32", Parameters: 1234, Teacher: Digest{1}, Rows: Digest{2}, Tokenizer: Digest{3}}
}

// said is what a teacher says of a row, a function of its number.
type said struct {
	ids            []int64
	logProbs, rest []float32
}

func teacher(c Contents, row, positions int) (s said) {
	random := rand.New(rand.NewPCG(uint64(row), 0))
	for range positions {
		for i := range c.TopK {
			s.ids = append(s.ids, (random.Int64N(int64(c.VocabSize))+int64(i))%int64(c.VocabSize))
			s.logProbs = append(s.logProbs, -random.Float32()*20)
		}
		s.rest = append(s.rest, -random.Float32()*90)
	}
	return s
}

// fill writes the blocks that are missing, until one has been written more than most.
func fill(b *Builder, positions []int, most int) error {
	for block := range b.Blocks() {
		if b.Has(block) {
			continue
		}
		if most--; most < 0 {
			return errors.New("killed")
		}
		var all said
		first, end := b.Rows(block)
		for row := first; row < end; row++ {
			s := teacher(b.Contents, row, positions[row])
			all.ids, all.logProbs, all.rest = append(all.ids, s.ids...), append(all.logProbs, s.logProbs...), append(all.rest, s.rest...)
		}
		if err := b.Write(block, all.ids, all.logProbs, all.rest); err != nil {
			return err
		}
	}
	return nil
}

const many = 1 << 30

func build(t testing.TB, fsys vfs.FS, path string, c Contents, positions []int) {
	t.Helper()
	b, err := NewBuilder(fsys, path, c, positions)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := fill(b, positions, many); err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(); err != nil {
		t.Fatal(err)
	}
}

// uneven are rows of every kind: full, short, without a target. With 2,000 probabilities a position two make a block.
func uneven(rows int) (positions []int) {
	for i := range rows {
		positions = append(positions, []int{300, 0, 7, 299, 1}[i%5])
	}
	return positions
}

func TestWhatGoesInComesBack(t *testing.T) {
	for _, vocabulary := range []int{50, 1 << 16, 1<<16 + 1} {
		for _, k := range []int{1, 7, 50} {
			t.Run(fmt.Sprintf("%d of %d", k, vocabulary), func(t *testing.T) {
				fsys, positions, want := vfs.NewMem(), uneven(23), contents(vocabulary, k)
				build(t, fsys, "c.cache", want, positions)
				c, err := Open(fsys, "c.cache", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if c.Contents() != want || c.NumRows() != len(positions) || c.Bytes() != want.Size(positions) {
					t.Fatalf("contents %+v, %d rows, %d bytes", c.Contents(), c.NumRows(), c.Bytes())
				}
				for row, n := range positions {
					in := teacher(want, row, n)
					got := said{make([]int64, n*k), make([]float32, n*k), make([]float32, n)}
					if err := c.Read(row, got.ids, got.logProbs, got.rest); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got.ids, in.ids) || !slices.Equal(got.rest, in.rest) {
						t.Fatalf("row %d: %s", row, cmp.Diff(in.ids, got.ids))
					}
					for i := range in.logProbs {
						if d := math.Abs(float64(got.logProbs[i] - in.logProbs[i])); d > 0.5/stepsPerNat+1e-6 {
							t.Fatalf("row %d: log-probability %v for %v", row, got.logProbs[i], in.logProbs[i])
						}
					}
				}
				if err := c.Read(len(positions), nil, nil, nil); err == nil {
					t.Error("a row past the end was read")
				}
			})
		}
	}
}

// TestCodesLoseLessThanFloat16 weighs the two ways to keep a log-probability in 16 bits: by the largest error of a probability,
// relative to it.
func TestCodesLoseLessThanFloat16(t *testing.T) {
	var code, half float64
	for x := 0.0; x < 20; x += 0.00037 {
		code = max(code, math.Abs(math.Expm1(float64(decodeLog(encodeLog(float32(-x))))+x)))
		step := math.Exp2(math.Floor(math.Log2(max(x, 0x1p-14))) - 10) // of a float16 at x
		half = max(half, math.Abs(math.Expm1(math.RoundToEven(x/step)*step-x)))
	}
	if !(code < 0.00025) || !(half > 30*code) {
		t.Errorf("a code loses %.3g, a float16 %.3g", code, half)
	}
	t.Logf("largest relative error of a probability: %.2g, as a float16 %.2g", code, half)
	for _, x := range []float32{0, float32(math.Inf(-1)), -1e9, 1e-9, float32(math.NaN())} {
		if got := decodeLog(encodeLog(x)); !(got <= 0 && got >= -32) {
			t.Errorf("%v comes back as %v", x, got)
		}
	}
}

func TestABuildThatWasKilledGoesOn(t *testing.T) {
	fsys, positions, want := vfs.NewMem(), uneven(15), contents(5000, 2000)
	build(t, fsys, "whole.cache", want, positions)
	sessions := 0
	for done := false; !done; sessions++ {
		b, err := NewBuilder(fsys, "c.cache", want, positions)
		if err != nil {
			t.Fatal(err)
		}
		err = fill(b, positions, 2)
		if done = err == nil; done {
			err = b.Finish()
		} else if finish := b.Finish(); finish == nil {
			t.Fatal("an unfinished cache was put in its place")
		}
		if done && err != nil {
			t.Fatal(err)
		}
		b.Close()
		if _, err := Open(fsys, "c.cache", nil); !done && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("before it is finished: %v", err)
		}
	}
	if sessions < 4 {
		t.Errorf("it came to its end in %d sessions: the blocks are too large for this test", sessions)
	}
	if a, b := read(t, fsys, "whole.cache"), read(t, fsys, "c.cache"); !bytes.Equal(a, b) {
		t.Error("a cache made in sessions differs from one made at once")
	}
}

func read(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every byte of a file is under a checksum; what is damaged is made again and the rest is kept.
func TestDamageIsFoundAndMended(t *testing.T) {
	fsys, positions, want := vfs.NewMem(), uneven(15), contents(5000, 2000)
	build(t, fsys, "c.cache", want, positions)
	whole := read(t, fsys, "c.cache")
	l := newLayout(want, positions)
	for name, at := range map[string]int64{"magic": 0, "version": 8, "header": 40, "reserved": 200, "row table": headerBytes + 9, "state": l.states,
		"checksum": l.states + stateBytes + 4, "first block": l.data, "last byte": l.size - 1} {
		t.Run(name, func(t *testing.T) {
			damaged := slices.Clone(whole)
			damaged[at] ^= 0x10
			if err := vfs.WriteFile(fsys, "c.cache", damaged); err != nil {
				t.Fatal(err)
			}
			var e *DamagedError
			if _, err := Open(fsys, "c.cache", nil); !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "c.cache: damaged: ") {
				t.Fatalf("error %v", err)
			}
			b, err := NewBuilder(fsys, "c.cache", want, positions)
			if err != nil {
				t.Fatal(err)
			}
			missing := 0
			for block := range b.Blocks() {
				if !b.Has(block) {
					missing++
				}
			}
			if inHead := at < l.states; inHead && missing != b.Blocks() || !inHead && missing != 1 {
				t.Errorf("%d of %d blocks are made again", missing, b.Blocks())
			}
			if err := fill(b, positions, many); err != nil {
				t.Fatal(err)
			}
			if err := b.Finish(); err != nil {
				t.Fatal(err)
			}
			b.Close()
			if !bytes.Equal(read(t, fsys, "c.cache"), whole) {
				t.Error("the mended file differs from what it was")
			}
		})
	}
	for _, size := range []int{0, 7, headerBytes - 1, headerBytes, len(whole) / 2, len(whole) - 1} {
		if _, err := parse(whole[:size], nil); err == nil {
			t.Errorf("cut to %d bytes it passes", size)
		}
	}
	if _, err := parse(append(slices.Clone(whole), 0), nil); err == nil {
		t.Error("a byte too many passes")
	}
}

// An id that the vocabulary does not have would be an access outside a tensor.
func TestABuilderRefusesWhatNoTeacherSays(t *testing.T) {
	for name, s := range map[string]said{
		"id":       {[]int64{9, 10}, []float32{-1, -1}, []float32{-1}},
		"rest":     {[]int64{1, 2}, []float32{-1, -1}, []float32{float32(math.NaN())}},
		"position": {[]int64{1, 2}, []float32{-1, -1}, []float32{-1, -1}},
	} {
		b, err := NewBuilder(vfs.NewMem(), "c.cache", contents(10, 2), []int{1})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Write(0, s.ids, s.logProbs, s.rest); err == nil {
			t.Errorf("%s: it was written", name)
		}
		b.Close()
	}
}

func TestAFullDiskLosesNoBlock(t *testing.T) {
	disk, positions, want := vfs.NewMem(), uneven(15), contents(5000, 2000)
	full := vfs.DiskFull(disk, want.Size(positions)/2)
	b, err := NewBuilder(full, "c.cache", want, positions)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(b, positions, many); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	b.Close()
	if b, err = NewBuilder(disk, "c.cache", want, positions); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	kept := 0
	for block := range b.Blocks() {
		if b.Has(block) {
			kept++
		}
	}
	if kept < b.Blocks()/3 || kept == b.Blocks() {
		t.Errorf("%d of %d blocks are kept", kept, b.Blocks())
	}
	if err := fill(b, positions, many); err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(); err != nil {
		t.Error(err)
	}
}

// After a power failure at any moment there is the whole cache, or none and a build that goes on.
func TestACrashLeavesAllOrNothing(t *testing.T) {
	positions, want := []int{265, 1, 3}, contents(5000, 2000) // a block each
	points := 0
	for _, mode := range vfs.CrashModes {
		for index, injector := range vfs.EveryFault(vfs.FailFrom, syscall.EIO) {
			points++
			disk := vfs.NewMem()
			err := attempt(vfs.Fault(disk, injector.Decide), want, positions)
			if err != nil && injector.Fired() == nil {
				t.Fatal(err)
			}
			crashed := disk.Crash(mode, uint64(index))
			c, err := Open(crashed, "c.cache", nil)
			if err == nil {
				c.Close()
			} else if !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%v, power gone at operation %d: %v", mode, index, err)
			}
			if err := attempt(crashed, want, positions); err != nil {
				t.Fatal(err)
			}
			if c, err = Open(crashed, "c.cache", nil); err != nil {
				t.Fatalf("%v, power gone at operation %d, then finished: %v", mode, index, err)
			}
			c.Close()
		}
	}
	if points < 40 {
		t.Errorf("%d fault points", points)
	}
}

// attempt builds a cache, as far as the disk allows.
func attempt(fsys vfs.FS, c Contents, positions []int) error {
	b, err := NewBuilder(fsys, "c.cache", c, positions)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := fill(b, positions, many); err != nil {
		return err
	}
	return b.Finish()
}

func TestTheNameTellsAllButTheTeacher(t *testing.T) {
	base := contents(50, 4)
	other := base
	other.Teacher, other.Precision, other.Parameters = Digest{9}, "bf16", 1
	if base.Name() != other.Name() {
		t.Error("another teacher has another name")
	}
	names := map[string]bool{base.Name(): true}
	for _, change := range []func(c *Contents){func(c *Contents) { c.VocabSize++ }, func(c *Contents) { c.TopK++ }, func(c *Contents) { c.Temperature++ },
		func(c *Contents) { c.Rows[31]++ }, func(c *Contents) { c.Tokenizer[31]++ }} {
		c := base
		change(&c)
		names[c.Name()] = true
	}
	if len(names) != 6 {
		t.Errorf("names %v", names)
	}
}

func TestOneProcessMakesACacheAtATime(t *testing.T) {
	fsys := vfs.NewMem()
	never := func() error { return nil }
	first, err := Lock(never, fsys, "dir/c.cache", func() { t.Error("nobody was there to wait for") })
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	waited := 0
	if _, err := Lock(func() error { return stop }, fsys, "dir/c.cache", func() { waited++ }); !errors.Is(err, stop) || waited != 1 {
		t.Errorf("error %v, waited %d times", err, waited)
	}
	first.Close()
	second, err := Lock(never, fsys, "dir/c.cache", func() { t.Error("nobody was there to wait for") })
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	if _, err := Open(fsys, "dir/c.cache", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// FuzzParse: whatever the bytes, parsing ends with an error or with rows that can all be read. The seals are made to fit, or no
// damage would get past them.
func FuzzParse(f *testing.F) {
	fsys := vfs.NewMem()
	for i, c := range []Contents{contents(50, 3), contents(1<<17, 2)} {
		name := fmt.Sprint(i)
		build(f, fsys, name, c, []int{2, 0, 1})
		f.Add(read(f, fsys, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		seal(b)
		l, err := parse(b, nil)
		if err != nil {
			return
		}
		c := &Cache{l, mapped(b)}
		for row := range c.NumRows() {
			n := c.Positions(row)
			s := said{make([]int64, n*c.TopK), make([]float32, n*c.TopK), make([]float32, n)}
			if err := c.Read(row, s.ids, s.logProbs, s.rest); err != nil {
				t.Fatal(err)
			}
			for _, id := range s.ids {
				if id < 0 || id >= int64(c.VocabSize) {
					t.Fatalf("id %d of a vocabulary of %d", id, c.VocabSize)
				}
			}
		}
	})
}

type mapped []byte

func (m mapped) Bytes() []byte { return m }
func (m mapped) Close() error  { return nil }

// seal makes the checksums of a file fit, as far as there is one.
func seal(b []byte) {
	if len(b) < headerBytes {
		return
	}
	head := uint64(headerBytes) + 8*(binary.LittleEndian.Uint64(b[48:])&0xffff+1)
	if head > uint64(len(b)) {
		return
	}
	sum := headDigest(b[:head])
	copy(b[digestAt:], sum[:])
	l, err := parseHead(b)
	if err != nil {
		return
	}
	for block := range l.blocks() {
		from, to := l.blockAt(block)
		copy(b[l.states+stateBytes*block:], state(block, b[from:to]))
	}
}
