package torch_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"frugal/torch"
)

const mib = 1 << 20

func memory(t testing.TB) torch.Memory {
	t.Helper()
	m, err := torch.MemoryStats(torch.CPU)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// space is a tensor of so many bytes, all written.
func space(bytes int64) *torch.Tensor { return torch.Zeros([]int64{bytes}, torch.Uint8, torch.CPU) }

func pageFaults(t testing.TB) int64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Minflt
}

func resident(t testing.TB) (bytes int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("needs /proc: " + err.Error())
	}
	var size int64
	if _, err := fmt.Sscan(string(text), &size, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes * int64(os.Getpagesize())
}

// gpt2 is as much of a GPT-2 as asks for memory as training does.
type gpt2 struct {
	width, vocabulary int64
	blocks            [][]*torch.Tensor
	head              *torch.Tensor
}

func newGPT2(width, layers, vocabulary int64) *gpt2 {
	weight := func(shape ...int64) *torch.Tensor {
		return torch.Full(shape, 0.01, torch.Float32, torch.CPU).SetRequiresGrad(true)
	}
	g := &gpt2{width: width, vocabulary: vocabulary, head: weight(width, vocabulary)}
	for range layers {
		g.blocks = append(g.blocks, []*torch.Tensor{weight(width), weight(width), weight(width, 3*width), weight(3 * width),
			weight(width), weight(width), weight(width, 4*width), weight(4 * width), weight(4*width, width), weight(width)})
	}
	return g
}

// step is a forward and a backward pass over rows of length tokens, and the gradients let go.
func (g *gpt2) step(rows, length int64) {
	scope := torch.OpenScope()
	defer scope.Close()
	x := torch.Full([]int64{rows * length, g.width}, 0.5, torch.Float32, torch.CPU)
	for _, w := range g.blocks {
		x = torch.Scoped(func() *torch.Tensor {
			norm := func(x, weight, bias *torch.Tensor) *torch.Tensor {
				return torch.LayerNorm(x, torch.Affine{Weight: weight, Bias: bias}, 1e-5, torch.Float32)
			}
			qkv := norm(x, w[0], w[1]).MatMul(w[2]).Add_(w[3]).Reshape(rows, length, 3*g.width)
			attention := torch.SelfAttention(qkv, int(g.width/32), 0, torch.Composed).Reshape(rows*length, g.width)
			x := x.Add(attention)
			return x.Add(norm(x, w[4], w[5]).MatMul(w[6]).Add_(w[7]).GELUTanh().MatMul(w[8]).Add_(w[9]))
		})
	}
	x.MatMul(g.head).LogSoftmax(-1, torch.Float32).Sum().Backward()
	for _, w := range append([][]*torch.Tensor{{g.head}}, g.blocks...) {
		for _, w := range w {
			w.SetGrad(nil)
		}
	}
}

func TestMemoryIsCountedToTheByte(t *testing.T) {
	onThread(t, func() {
		for bytes, want := range map[int64]int64{0: 0, 1: 64, 64: 64, 65: 128, 65472: 65472, 65537: 65600, 3*mib + 1: 3*mib + 64} {
			before := memory(t)
			torch.ResetPeakMemory(torch.CPU)
			x := space(bytes)
			during := memory(t)
			x.Free()
			if got := during.Allocated - before.Allocated; got != want {
				t.Errorf("%d bytes are counted as %d, want %d", bytes, got, want)
			}
			after := memory(t)
			if after.Allocated != before.Allocated || after.AllocatedPeak < before.Allocated+want || after.AllocatedPeak > before.Allocated+want+1024 {
				t.Errorf("%d bytes: %+v before, %+v after", bytes, before, after)
			}
			if during.Reserved < during.Allocated || during.Free <= 0 || during.Free > during.Total {
				t.Errorf("%d bytes: %+v", bytes, during)
			}
		}
	})
}

func TestAStepCountsTheSameEveryTime(t *testing.T) {
	onThread(t, func() {
		g := newGPT2(64, 2, 500)
		var want torch.Memory
		var wantKinds [torch.NumMemoryKinds]int64
		for i := range 4 {
			torch.ResetPeakMemory(torch.CPU)
			torch.CountAs(torch.MemoryActivations, func() { g.step(2, 48) })
			got := memory(t)
			_, kinds := torch.MemoryByKind(torch.CPU)
			if i == 0 {
				want, wantKinds = got, kinds
			}
			if got.Allocated != want.Allocated || got.AllocatedPeak != want.AllocatedPeak || kinds != wantKinds {
				t.Errorf("step %d: %d bytes at the peak, %v; want %d, %v", i, got.AllocatedPeak, kinds, want.AllocatedPeak, wantKinds)
			}
		}
	})
}

func TestKindsSumToThePeak(t *testing.T) {
	onThread(t, func() {
		before, _ := torch.MemoryByKind(torch.CPU)
		torch.ResetPeakMemory(torch.CPU)
		var w, a *torch.Tensor
		torch.CountAs(torch.MemoryWeights, func() {
			w = space(5 * mib)
			torch.CountAs(torch.MemoryActivations, func() { a = space(3 * mib) })
		})
		torch.CountAs(torch.MemoryHead, func() {
			space(7 * mib).Free()
			a.Free() // after the peak, and booked as what it was
			space(2 * mib).Free()
		})
		live, atPeak := torch.MemoryByKind(torch.CPU)
		sum := int64(0)
		for kind := range torch.MemoryKind(torch.NumMemoryKinds) {
			want := map[torch.MemoryKind][2]int64{torch.MemoryWeights: {5 * mib, 5 * mib}, torch.MemoryActivations: {0, 3 * mib}, torch.MemoryHead: {0, 7 * mib}}[kind]
			if got := live[kind] - before[kind]; got != want[0] {
				t.Errorf("%s: %d bytes live, want %d", kind, got, want[0])
			}
			if got := atPeak[kind] - before[kind]; got != want[1] {
				t.Errorf("%s: %d bytes at the peak, want %d", kind, got, want[1])
			}
			sum += atPeak[kind]
		}
		if peak := memory(t).AllocatedPeak; sum != peak {
			t.Errorf("kinds sum to %d at the peak of %d", sum, peak)
		}
		w.Free()
	})
}

func TestAPanicEndsCountAs(t *testing.T) {
	onThread(t, func() {
		before, _ := torch.MemoryByKind(torch.CPU)
		caught(t, func() { torch.CountAs(torch.MemoryHead, func() { values(1).Add(values(1, 2, 3).Reshape(4)) }) })
		x := space(mib)
		if live, _ := torch.MemoryByKind(torch.CPU); live[torch.MemoryOther]-before[torch.MemoryOther] != mib {
			t.Errorf("%d before, %d after", before, live)
		}
		x.Free()
	})
}

// The sizes change from step to step, as those of the last batch of an epoch and of an evaluation do.
func TestASteadyStepTakesNothingFromTheSystem(t *testing.T) {
	onThread(t, func() {
		g := newGPT2(192, 4, 8000)
		torch.EmptyCache(torch.CPU)
		torch.ResetPeakMemory(torch.CPU)
		shapes := [][2]int64{{4, 64}, {4, 61}, {1, 64}, {3, 33}}
		for range 2 {
			for _, s := range shapes {
				g.step(s[0], s[1])
			}
		}
		m := memory(t)
		before := pageFaults(t)
		const passes = 8
		for i := range passes {
			g.step(shapes[i%len(shapes)][0], shapes[i%len(shapes)][1])
		}
		faults := float64(pageFaults(t)-before) / passes
		after := memory(t)
		t.Logf("%.1f page faults a pass; %.1f MB held for a peak of %.1f", faults, float64(after.ReservedPeak)/1e6, float64(after.AllocatedPeak)/1e6)
		if after.ReservedPeak != m.ReservedPeak || after.Reserved != m.Reserved {
			t.Errorf("memory was taken from the system: %+v, then %+v", m, after)
		}
		if faults > 64 { // the heaps of Go and libc breathe; the default allocator makes 8,000
			t.Errorf("%.1f page faults a pass", faults)
		}
		if held := float64(after.ReservedPeak) / float64(after.AllocatedPeak); held > 1.1 {
			t.Errorf("%.2f of the peak is held", held)
		}
	})
}

func TestWhatIsKeptIsGivenBackOnDemand(t *testing.T) {
	onThread(t, func() {
		torch.EmptyCache(torch.CPU)
		before, was := memory(t), resident(t)
		const size = 256 * mib
		x := space(size)
		x.Free()
		if m := memory(t); m.Reserved < before.Reserved+size-4*mib {
			t.Errorf("nothing was kept: %+v", m)
		}
		held := resident(t)
		torch.EmptyCache(torch.CPU)
		if m := memory(t); m.Reserved > before.Reserved {
			t.Errorf("%d bytes are held, before %d", m.Reserved, before.Reserved)
		}
		if given := held - resident(t); given < size-8*mib {
			t.Errorf("resident memory: %d at first, %d before giving back, %d less after", was, held, given)
		}
		space(size).Free() // it is taken again
	})
}

func TestHolesAreJoinedAndUsedAgain(t *testing.T) {
	onThread(t, func() {
		torch.EmptyCache(torch.CPU)
		pieces := make([]*torch.Tensor, 64)
		for i := range pieces {
			pieces[i] = space(mib)
		}
		before := memory(t).Reserved
		for _, i := range []int{0, 2, 1, 3} { // each order of neighbours: below, above, both
			for j := i; j < len(pieces); j += 4 {
				pieces[j].Free()
			}
		}
		x := space(64 * mib)
		if m := memory(t); m.Reserved > before+2*mib {
			t.Errorf("64 MiB in place of 64 times 1 MiB: %d bytes are held, before %d", m.Reserved, before)
		}
		x.Free()
	})
}

func TestWhatIsKeptHasABound(t *testing.T) {
	onThread(t, func() {
		torch.EmptyCache(torch.CPU)
		torch.ResetPeakMemory(torch.CPU)
		var walls []*torch.Tensor
		for i := int64(1); i <= 12; i++ { // each too large for the hole before it, and a wall between them
			space(i * 16 * mib).Free()
			walls = append(walls, space(mib))
			if m := memory(t); m.Reserved > m.AllocatedPeak+m.AllocatedPeak/4+64*mib {
				t.Fatalf("%+v", m)
			}
		}
		for _, w := range walls {
			w.Free()
		}
		torch.EmptyCache(torch.CPU)
	})
}

func TestBlocksDoNotOverlap(t *testing.T) {
	onThread(t, func() {
		type block struct {
			x    *torch.Tensor
			mark byte
		}
		var blocks []block
		random := uint64(1)
		for i := range 3000 {
			random = random*6364136223846793005 + 1442695040888963407
			size := int64(1) << (random >> 59 & 31 % 19)
			size += int64(random>>33) % size
			if len(blocks) > 200 {
				j := int(random>>40) % len(blocks)
				b := blocks[j]
				blocks[j] = blocks[len(blocks)-1]
				blocks = blocks[:len(blocks)-1]
				for k, v := range b.x.Bytes() {
					if v != b.mark {
						t.Fatalf("byte %d of %d is %d, want %d", k, b.x.NumBytes(), v, b.mark)
					}
				}
				b.x.Free()
			}
			blocks = append(blocks, block{torch.Full([]int64{size}, float64(i%251), torch.Uint8, torch.CPU), byte(i % 251)})
			if i%500 == 499 {
				torch.EmptyCache(torch.CPU)
			}
		}
	})
}

func TestALimitIsKept(t *testing.T) {
	onThread(t, func() {
		m := memory(t)
		if err := torch.SetMemoryLimit(torch.CPU, m.Allocated+8*mib); err != nil {
			t.Fatal(err)
		}
		defer torch.SetMemoryLimit(torch.CPU, 0)
		x := space(6 * mib)
		if e := caught(t, func() { space(3 * mib) }); e.Kind != torch.OutOfMemory || !strings.Contains(oneLineOf(t, e), "3145728 bytes") {
			t.Errorf("%v", e)
		}
		x.Free()
		space(8 * mib).Free()
		if err := torch.SetMemoryLimit(torch.CPU, -1); err == nil {
			t.Error("a limit below nothing")
		}
	})
}

// One failure at every allocation of a step: each is an error of one line, and nothing stays behind.
func TestAStepSurvivesAFailureAtEachAllocation(t *testing.T) {
	onThread(t, func() {
		g := newGPT2(32, 1, 50)
		count := torch.Allocations()
		g.step(1, 8)
		count = torch.Allocations() - count
		before := memory(t).Allocated
		for n := int64(1); n <= count; n++ {
			torch.FailAllocation(n)
			e := caught(t, func() { g.step(1, 8) })
			if text := oneLineOf(t, e); e.Kind != torch.OutOfMemory || !strings.Contains(text, "no memory for a tensor of") {
				t.Fatalf("allocation %d of %d: %q", n, count, text)
			}
			for _, w := range append([][]*torch.Tensor{{g.head}}, g.blocks...) {
				for _, w := range w {
					w.SetGrad(nil)
				}
			}
			if left := memory(t).Allocated - before; left != 0 {
				t.Fatalf("allocation %d of %d: %d bytes stay", n, count, left)
			}
		}
		torch.FailAllocation(1)
		torch.FailAllocation(0)
		g.step(1, 8)
		t.Logf("%d allocations", count)
	})
}

func TestThreadsShareTheAllocator(t *testing.T) {
	before := memory(t)
	var group sync.WaitGroup
	for i := range int64(4) {
		thread := torch.StartThread()
		group.Add(1)
		go func() {
			defer group.Done()
			defer thread.Stop()
			thread.Do(func() {
				var kept []*torch.Tensor
				for j := range int64(2000) {
					x := torch.Full([]int64{(i*7919+j*104729)%200_000 + 1}, float64(i), torch.Uint8, torch.CPU)
					if kept = append(kept, x); len(kept) > 20 {
						if got := kept[0].Bytes(); got[0] != byte(i) || got[len(got)-1] != byte(i) {
							panic("another thread wrote here")
						}
						kept[0].Free()
						kept = kept[1:]
					}
				}
				for _, x := range kept {
					x.Free()
				}
			})
		}()
	}
	group.Wait()
	if m := memory(t); m.Allocated != before.Allocated {
		t.Errorf("%d bytes stay", m.Allocated-before.Allocated)
	}
}
