package torch_test

// Several processes are several groups in one here, each with a connection to the store.

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"frugal/torch"
)

// enough is for what should not take long, on a machine that is busy with other tests, too.
const enough = 30 * time.Second

// serve serves a store until the test ends, and tells its port.
func serve(t *testing.T) (s *torch.Store, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port = l.Addr().(*net.TCPAddr).Port
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if s, err = torch.ServeStore("127.0.0.1", port, socket, enough); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Free)
	return s, port
}

func dial(t *testing.T, port int, timeout time.Duration) *torch.Store {
	t.Helper()
	s, err := torch.DialStore("127.0.0.1", port, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Free)
	return s
}

// said is an error's text, which is for a person: one line, without the inside of libtorch.
func said(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return ""
	}
	for _, sign := range []string{"\n", "Exception raised from", "frame #", ".cpp:", ".hpp:", ".cc:", ".h:", "C++"} {
		if strings.Contains(err.Error(), sign) {
			t.Errorf("%q in %q", sign, err)
		}
	}
	return err.Error()
}

func TestTheStoreIsEverybodys(t *testing.T) {
	served, port := serve(t)
	other := dial(t, port, enough)
	for key, value := range map[string]string{"empty": "", "key": "with \x00 and é", "long": strings.Repeat("long ", 100_000)} {
		if err := served.Set(key, []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := other.Get(key, enough); err != nil || string(got) != value {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(value))
		}
	}
	for i, s := range []*torch.Store{served, other, served} {
		if n, err := s.Add("sum", 3); err != nil || n != int64(3*i+3) {
			t.Errorf("sum %d, %v", n, err)
		}
	}
	prefixed := other.WithPrefix("of")
	defer prefixed.Free()
	if err := prefixed.Set("mine", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if got, err := prefixed.Get("mine", enough); err != nil || string(got) != "1" { // Set awaits no answer; behind Get all see it
		t.Errorf("%q, %v", got, err)
	}
	for key, want := range map[string]bool{"key": true, "sum": true, "of/mine": true, "mine": false, "nothing": false} {
		if has, err := served.Has(key); err != nil || has != want {
			t.Errorf("%s: %v, %v, want %v", key, has, err, want)
		}
	}
	if has, err := prefixed.Has("key"); has || err != nil {
		t.Errorf("a key without the prefix is seen: %v, %v", has, err)
	}
}

func TestAValueIsWaitedForAndNoLongerThanSaid(t *testing.T) {
	served, port := serve(t)
	other := dial(t, port, enough)
	time.AfterFunc(100*time.Millisecond, func() { served.Set("late", []byte("here")) })
	if got, err := other.Get("late", enough); err != nil || string(got) != "here" {
		t.Errorf("%q, %v", got, err)
	}
	began := time.Now()
	_, err := other.Get("never", 200*time.Millisecond)
	said(t, err)
	if took := time.Since(began); took < 200*time.Millisecond || took > enough/2 {
		t.Errorf("waited %v", took)
	}
	if has, err := other.Has("late"); !has || err != nil { // the connection is still good
		t.Errorf("after the timeout: %v, %v", has, err)
	}
}

func TestAStoreThatIsNotThereIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	_, err = torch.DialStore("127.0.0.1", port, 300*time.Millisecond)
	if text := said(t, err); !strings.HasPrefix(text, fmt.Sprintf("127.0.0.1:%d: ", port)) {
		t.Errorf("%q does not say where", text)
	}

	for _, f := range []func(s *torch.Store) error{ // what awaits an answer
		func(s *torch.Store) error { _, err := s.Add("sum", 1); return err },
		func(s *torch.Store) error { _, err := s.Has("key"); return err },
		func(s *torch.Store) error { _, err := s.Get("key", time.Second); return err },
	} {
		served, port := serve(t)
		other := dial(t, port, time.Second)
		served.Free()
		said(t, f(other))
	}
}

// c10d has a descriptor of its own: serve closes its own, and whatever gets that number then stays open when the store ends.
func TestTheStoreKeepsItsSocket(t *testing.T) {
	s, port := serve(t)
	dial(t, port, time.Second)
	var files []*os.File
	for range 10 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	s.Free()
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Errorf("the store closed another's descriptor: %v", err)
		}
	}
}

// together makes a group for each of several processes. Their collectives run on threads of c10d's own, so that one thread of ours
// can begin all of them before it waits.
func together(t *testing.T, size int, f func(groups []*torch.Group)) {
	t.Helper()
	_, port := serve(t)
	groups := make([]*torch.Group, size)
	var joining sync.WaitGroup
	for rank := range size {
		s := dial(t, port, enough)
		joining.Go(func() {
			var err error
			if groups[rank], err = torch.NewGlooGroup(s, rank, size, "127.0.0.1", enough); err != nil {
				t.Errorf("rank %d of %d: %v", rank, size, err)
			}
		})
	}
	joining.Wait()
	defer func() {
		for _, g := range groups {
			g.Free()
		}
	}()
	if !t.Failed() {
		onThread(t, func() { f(groups) })
	}
}

// works are what each process has begun.
type works []*torch.Work

// begin begins something at each process.
func begin(t *testing.T, size int, f func(rank int) (*torch.Work, error)) (all works) {
	t.Helper()
	for rank := range size {
		work, err := f(rank)
		if err != nil {
			t.Fatalf("rank %d of %d: %v", rank, size, err)
		}
		all = append(all, work)
	}
	return all
}

// wait waits until all is done.
func (w works) wait(t *testing.T) {
	t.Helper()
	for rank, work := range w {
		if done, err := work.Wait(enough); err != nil || !done {
			t.Fatalf("rank %d of %d: done %v, %v", rank, len(w), done, err)
		}
		work.Free()
	}
}

// at makes what each process has.
func at(size int, f func(rank int) *torch.Tensor) (all []*torch.Tensor) {
	for rank := range size {
		all = append(all, f(rank))
	}
	return all
}

// holds fails unless all of a tensor's numbers are those that want gives.
func holds(t *testing.T, what string, got *torch.Tensor, want func(i int) float64) {
	t.Helper()
	for i, x := range got.To(torch.Float64, torch.CPU).Float64s() {
		if x != want(i) {
			t.Errorf("%s: number %d is %v, want %v", what, i, x, want(i))
			return
		}
	}
}

// counted is n small whole numbers, which every type holds, that differ from rank to rank.
func counted(n, rank int, dtype torch.DType) *torch.Tensor {
	numbers := make([]float64, n)
	for i := range numbers {
		numbers[i] = number(i, rank)
	}
	return torch.FromFloat64s(numbers, []int64{int64(n)}, torch.CPU).To(dtype, torch.CPU)
}

func number(i, rank int) float64 { return float64(i%11 + 16*rank) }

// groupSizes: two are pairs for Gloo, three and five no power of two.
var groupSizes = []int{1, 2, 3, 5}

// lengths: less than one number a process, and more than a message of Gloo's, which has 1 MiB.
var lengths = []int{1, 1000, 300_001}

func TestAllReduceAddsUpInEveryType(t *testing.T) {
	for _, size := range groupSizes {
		sum := func(i int) (x float64) {
			for rank := range size {
				x += number(i, rank)
			}
			return x
		}
		together(t, size, func(groups []*torch.Group) {
			for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16, torch.Int64} {
				for _, n := range lengths {
					numbers := at(size, func(rank int) *torch.Tensor { return counted(n, rank, dtype) })
					begin(t, size, func(rank int) (*torch.Work, error) { return groups[rank].AllReduce(numbers[rank]) }).wait(t)
					for rank := range size {
						holds(t, fmt.Sprintf("%v, %d numbers, rank %d of %d", dtype, n, rank, size), numbers[rank], sum)
					}
				}
			}
		})
	}
}

// A sum that is not exact is rounded alike by all: their models stay one.
func TestAllReduceGivesEverybodyTheSameBits(t *testing.T) {
	together(t, 3, func(groups []*torch.Group) {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			numbers := at(3, func(rank int) *torch.Tensor {
				return counted(10_000, rank, torch.Float32).MulScalar(0.1).To(dtype, torch.CPU)
			})
			begin(t, 3, func(rank int) (*torch.Work, error) { return groups[rank].AllReduce(numbers[rank]) }).wait(t)
			for rank := range numbers {
				if !slices.Equal(numbers[rank].Bytes(), numbers[0].Bytes()) {
					t.Errorf("%v: rank %d has another sum than rank 0", dtype, rank)
				}
			}
		}
	})
}

func TestBroadcastSendsWhatAnyRootHas(t *testing.T) {
	for _, size := range groupSizes {
		together(t, size, func(groups []*torch.Group) {
			for root := range size {
				for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16, torch.Int64} {
					numbers := at(size, func(rank int) *torch.Tensor { return counted(1000, rank, dtype) })
					begin(t, size, func(rank int) (*torch.Work, error) {
						return groups[rank].Broadcast(numbers[rank].Narrow(0, 100, 800), root) // a part of a buffer
					}).wait(t)
					for rank := range size {
						holds(t, fmt.Sprintf("%v from %d, rank %d of %d", dtype, root, rank, size), numbers[rank], func(i int) float64 {
							if i < 100 || i >= 900 {
								return number(i, rank)
							}
							return number(i, root)
						})
					}
				}
			}
		})
	}
}

// Each sends to the next and receives from the one before, at once.
func TestASentTensorIsReceivedByOne(t *testing.T) {
	const size = 3
	together(t, size, func(groups []*torch.Group) {
		for _, n := range lengths {
			own := func(rank int) *torch.Tensor { return counted(n, rank, torch.Float32) }
			numbers, got := at(size, own), at(size, own)
			sending := begin(t, size, func(rank int) (*torch.Work, error) { return groups[rank].Send(numbers[rank], (rank+1)%size) })
			begin(t, size, func(rank int) (*torch.Work, error) { return groups[rank].Receive(got[rank], (rank+size-1)%size) }).wait(t)
			sending.wait(t)
			for rank := range size {
				what := fmt.Sprintf("%d numbers, rank %d", n, rank)
				holds(t, what, numbers[rank], func(i int) float64 { return number(i, rank) })
				holds(t, what+" received", got[rank], func(i int) float64 { return number(i, (rank+size-1)%size) })
			}
		}
	})
}

// Several are under way at once, as the stages of a gradient are, and are waited for in any order.
func TestCollectivesRunBesideEachOther(t *testing.T) {
	const size, parts, length = 3, 50, 1000
	together(t, size, func(groups []*torch.Group) {
		numbers := at(size, func(rank int) *torch.Tensor { return counted(parts*length, rank, torch.Float32) })
		var under []works
		for i := range int64(parts) {
			under = append(under, begin(t, size, func(rank int) (*torch.Work, error) {
				return groups[rank].AllReduce(numbers[rank].Narrow(0, length*i, length))
			}))
		}
		for _, w := range slices.Backward(under) {
			w.wait(t)
		}
		for rank := range size {
			holds(t, fmt.Sprintf("rank %d", rank), numbers[rank], func(i int) float64 { return size * number(i, 1) })
		}
	})
}

// A wait that ends before the others have come is no failure.
func TestAWorkMayBeWaitedForAgain(t *testing.T) {
	together(t, 2, func(groups []*torch.Group) {
		numbers := at(2, func(rank int) *torch.Tensor { return counted(5, rank, torch.Float32) })
		early, err := groups[0].AllReduce(numbers[0])
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if done, err := early.Wait(20 * time.Millisecond); done || err != nil {
				t.Fatalf("done %v without rank 1, %v", done, err)
			}
		}
		late, err := groups[1].AllReduce(numbers[1])
		if err != nil {
			t.Fatal(err)
		}
		works{early, late}.wait(t)
		holds(t, "the first", numbers[0], func(i int) float64 { return number(i, 0) + number(i, 1) })
	})
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	for name, begin := range map[string]func(g *torch.Group, numbers *torch.Tensor) (*torch.Work, error){
		"all-reduce": func(g *torch.Group, numbers *torch.Tensor) (*torch.Work, error) { return g.AllReduce(numbers) },
		"broadcast":  func(g *torch.Group, numbers *torch.Tensor) (*torch.Work, error) { return g.Broadcast(numbers, 1) },
		"send":       func(g *torch.Group, numbers *torch.Tensor) (*torch.Work, error) { return g.Send(numbers, 1) },
		"receive":    func(g *torch.Group, numbers *torch.Tensor) (*torch.Work, error) { return g.Receive(numbers, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			together(t, 2, func(groups []*torch.Group) {
				groups[1].Free()
				work, err := begin(groups[0], counted(10, 0, torch.Float32))
				if err == nil {
					_, err = work.Wait(enough)
					work.Free()
				}
				said(t, err)
			})
		})
	}
}

func TestWhoDoesNotComeIsAnError(t *testing.T) {
	s, _ := serve(t)
	began := time.Now()
	_, err := torch.NewGlooGroup(s, 0, 2, "127.0.0.1", 300*time.Millisecond)
	said(t, err)
	if took := time.Since(began); took > enough/2 {
		t.Errorf("it took %v", took)
	}
}
