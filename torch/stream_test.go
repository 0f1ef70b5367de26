package torch_test

import (
	"slices"
	"testing"

	"frugal/torch"
)

// On a CPU a copy is made when an event behind it is waited for, and so are those before it; with CopyAtOnce when it is asked for.
func TestStreamsCopyWhenTheyMust(t *testing.T) {
	onThread(t, func() {
		from, to, also := values(1, 2), values(0, 0), values(0, 0)
		s, other := torch.NewStream(torch.CPU), torch.NewStream(torch.CPU)
		first, second, nowhere := torch.NewEvent(torch.CPU), torch.NewEvent(torch.CPU), torch.NewEvent(torch.CPU)
		nowhere.Synchronize()
		expect := func(when string, x *torch.Tensor, want ...float32) {
			t.Helper()
			if got := x.Float32s(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		s.Copy(to, from)
		first.Record(s)
		other.Copy(also, from) // does not wait
		first.Block(other)
		from.Fill_(3)
		other.Copy(also, to)
		second.Record(other)
		expect("before a wait", to, 0, 0)
		second.Block(nil)
		expect("behind the other stream's wait", to, 3, 3)
		expect("behind the wait", also, 3, 3)
		from.Fill_(4)
		s.Copy(to, from)
		first.Synchronize() // stands before it
		expect("behind an earlier event", to, 3, 3)
		torch.CopyAtOnce(true)
		defer torch.CopyAtOnce(false)
		s.Copy(also, from)
		expect("at once", to, 4, 4)
		expect("at once, with what was left", also, 4, 4)
	})
}

func TestHostZerosAreNotTheDevices(t *testing.T) {
	onThread(t, func() {
		before, err := torch.MemoryStats(torch.CPU)
		if err != nil {
			t.Fatal(err)
		}
		x, pinned := torch.HostZeros([]int64{3, 1 << 20}, torch.BFloat16, torch.CPU)
		after, err := torch.MemoryStats(torch.CPU)
		if err != nil {
			t.Fatal(err)
		}
		if pinned || after.Allocated != before.Allocated || x.NumBytes() != 6<<20 || x.DType() != torch.BFloat16 || x.Norm().Item() != 0 {
			t.Errorf("%v, pinned %v, %d bytes counted", x, pinned, after.Allocated-before.Allocated)
		}
		if e := caught(t, func() { torch.HostZeros([]int64{1 << 50}, torch.Float32, torch.CPU) }); e.Kind != torch.OutOfMemory {
			t.Errorf("4 petabytes became %v", e)
		}
	})
}

// Copies in a card's own streams, ordered by events, beside what it computes.
func TestStreamsCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		const n = 1 << 24
		host, _ := torch.HostZeros([]int64{n}, torch.Float32, card)
		back, _ := torch.HostZeros([]int64{n}, torch.Float32, card)
		there := torch.Zeros([]int64{n}, torch.Float32, card)
		in, out := torch.NewStream(card), torch.NewStream(card)
		arrived, made, left := torch.NewEvent(card), torch.NewEvent(card), torch.NewEvent(card)
		made.Record(nil) // behind the zeros
		for round := range 20 {
			host.Fill_(float64(round))
			made.Block(in)
			in.Copy(there, host)
			arrived.Record(in)
			arrived.Block(nil)
			there.AddScalar_(1)
			made.Record(nil)
			made.Block(out)
			out.Copy(back, there)
			left.Record(out)
			left.Synchronize()
			if got := back.AddScalar_(-float64(round + 1)).Norm().Item(); got != 0 {
				t.Fatalf("round %d: off by %v", round, got)
			}
		}
		for _, free := range []interface{ Free() }{in, out, arrived, made, left} {
			free.Free()
		}
	})
}
