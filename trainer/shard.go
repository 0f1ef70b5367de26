package trainer

// shard_optimizer: each process has its share of the moments, makes the update of that part of the weights and sends it to the others
// (ZeRO stage 1: Rajbhandari et al., arXiv 1910.02054).

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"frugal/torch"
	"frugal/trainer/cluster"
	"frugal/trainer/gpt2"
	"frugal/trainer/safetensors"
)

type shard struct {
	world *cluster.World // nil in a dry run
	rank  int
	parts []gpt2.Slice // of the buffers, by rank
}

// shardAlignment is in elements: a page of fp32, so that kernels meet the parts as they would meet the whole.
const shardAlignment = 1024

func newShard(w *cluster.World, rank, size int, length int64) *shard {
	return &shard{world: w, rank: rank, parts: divideBuffers(size, length)}
}

// divideBuffers is the parts, by rank, of buffers of so many elements.
func divideBuffers(size int, length int64) (parts []gpt2.Slice) {
	n := int64(size)
	each := (length + n*shardAlignment - 1) / (n * shardAlignment) * shardAlignment
	for rank := range n {
		from, to := min(length, rank*each), min(length, (rank+1)*each)
		parts = append(parts, gpt2.Slice{Offset: from, Length: to - from})
	}
	return parts
}

func (s *shard) mine() gpt2.Slice { return s.parts[s.rank] }

// spread sends each process's part of the weights to the others, behind an update.
func (s *shard) spread(m *gpt2.Model) error {
	if s.world == nil {
		return nil
	}
	scope := torch.OpenScope()
	defer scope.Close()
	weights := m.Weights()
	var under []*cluster.Pending
	torch.NoGrad(func() {
		for rank, p := range s.parts {
			if p.Length > 0 {
				under = append(under, s.world.BroadcastFrom(rank, weights.Narrow(0, p.Offset, p.Length)))
			}
		}
	})
	for _, p := range under {
		if err := p.Wait(); err != nil {
			return err
		}
	}
	m.Changed()
	return nil
}

// piece is a part of a moment that goes from its owner to rank 0 for a checkpoint, or back.
type piece struct {
	name           string // of the moment's tensor
	rank           int    // whose it is
	offset, length int64  // in the buffers
}

// pieceElements bounds what rank 0 has in memory of the others' moments.
const pieceElements = 1 << 20

// pieces are all moments, in the order of their names, in which a checkpoint has them.
func (s *shard) pieces(o *optimizer) (all []piece) {
	for _, prefix := range momentPrefixes {
		parameters := slices.Clone(o.model.Parameters())
		slices.SortFunc(parameters, func(a, b gpt2.Parameter) int { return strings.Compare(a.Name, b.Name) })
		for _, p := range parameters {
			start, end := p.Offset(), p.Offset()+p.Tensor.NumElements()
			for rank, part := range s.parts {
				to := min(end, part.Offset+part.Length)
				for from := max(start, part.Offset); from < to; from += pieceElements {
					all = append(all, piece{prefix + p.Name, rank, from, min(pieceElements, to-from)})
				}
			}
		}
	}
	return all
}

// momentPrefixes begin the moments' names in a checkpoint, in the order of names.
var momentPrefixes = []string{"exp_avg.", "exp_avg_sq."}

// here is a piece that this process owns.
func (s *shard) here(o *optimizer, p piece) *torch.Tensor {
	moments := o.expAvg
	if strings.HasPrefix(p.name, momentPrefixes[1]) {
		moments = o.expAvgSq
	}
	return moments.Narrow(0, p.offset-s.mine().Offset, p.length)
}

// gathering is rank 0's writing of everybody's moments into a checkpoint, a piece at a time.
type gathering struct {
	shard     *shard
	optimizer *optimizer
	left      []piece
}

func (s *shard) gather(o *optimizer) *gathering { return &gathering{s, o, s.pieces(o)} }

// next is the next piece, in the CPU's memory.
func (g *gathering) next() (*torch.Tensor, error) {
	p := g.left[0]
	g.left = g.left[1:]
	if p.rank == 0 {
		return g.shard.here(g.optimizer, p), nil
	}
	t := torch.Empty([]int64{p.length}, torch.Float32, torch.CPU)
	return t, g.shard.world.Receive(t, p.rank).Wait()
}

// sources are the moments as tensors of a file, to be written in their order.
func (g *gathering) sources() (sources []safetensors.Source) {
	shapes := map[string][]int64{}
	for _, p := range g.optimizer.model.Parameters() {
		shapes[p.Name] = p.Tensor.Shape()
	}
	names := map[string]bool{}
	for _, p := range g.left {
		if names[p.name] {
			continue
		}
		names[p.name] = true
		_, parameter, _ := strings.Cut(p.name, ".")
		sources = append(sources, safetensors.Source{Name: p.name, DType: dtypeNames[torch.Float32], Shape: shapes[parameter],
			Write: func(w io.Writer) error { return g.write(p.name, w) }})
	}
	return sources
}

func (g *gathering) write(name string, w io.Writer) error {
	if len(g.left) == 0 || g.left[0].name != name {
		return fmt.Errorf("%s is not written in its turn", name)
	}
	for len(g.left) > 0 && g.left[0].name == name {
		scope := torch.OpenScope()
		t, err := g.next()
		if err == nil {
			_, err = t.WriteTo(w)
		}
		scope.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// drain takes what a save that has failed did not come to: the others are giving it.
func (g *gathering) drain() (err error) {
	for len(g.left) > 0 && err == nil {
		scope := torch.OpenScope()
		_, err = g.next()
		scope.Close()
	}
	return err
}

// give is what the others do meanwhile.
func (s *shard) give(o *optimizer) error {
	for _, p := range s.pieces(o) {
		if p.rank != s.rank {
			continue
		}
		scope := torch.OpenScope()
		t := s.here(o, p).To(torch.Float32, torch.CPU)
		err := s.world.Send(t, 0).Wait()
		scope.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// handOut gives everybody their part of the moments in a file that rank 0 alone has.
func (s *shard) handOut(o *optimizer, file *safetensors.File) error {
	offsets := map[string]int64{}
	for _, p := range o.model.Parameters() {
		offsets[p.Name] = p.Offset()
	}
	for _, p := range s.pieces(o) {
		if s.rank != 0 && s.rank != p.rank {
			continue
		}
		_, parameter, _ := strings.Cut(p.name, ".")
		if err := s.handOutPiece(o, file, p, p.offset-offsets[parameter]); err != nil {
			return err
		}
	}
	return nil
}

// handOutPiece: first is where the piece begins in its tensor.
func (s *shard) handOutPiece(o *optimizer, file *safetensors.File, p piece, first int64) (err error) {
	scope := torch.OpenScope()
	defer scope.Close()
	t := torch.Empty([]int64{p.length}, torch.Float32, torch.CPU)
	if s.rank == 0 {
		info, raw, ok := file.Tensor(p.name)
		if !ok || info.DType != dtypeNames[torch.Float32] || int64(len(raw)) < 4*(first+p.length) {
			return fmt.Errorf("%s is missing or of another size", p.name)
		}
		t = torch.FromBytes(raw[4*first:4*(first+p.length)], []int64{p.length}, torch.Float32, torch.CPU)
	}
	switch {
	case s.rank == p.rank && s.rank != 0:
		err = s.world.Receive(t, 0).Wait()
	case s.rank != p.rank:
		err = s.world.Send(t, p.rank).Wait()
	}
	if err == nil && s.rank == p.rank {
		torch.NoGrad(func() { s.here(o, p).Copy_(t) })
	}
	return err
}

// handOutMoments has everybody have theirs of the checkpoint that the run goes on from.
func (r *run) handOutMoments() error {
	s := r.optimizer.shard
	if !r.leads() {
		return s.handOut(r.optimizer, nil)
	}
	return withTensors(r.from, "training_state.safetensors", func(f *safetensors.File) error { return s.handOut(r.optimizer, f) })
}

func (r *run) giveMoments(s *shard) (err error) {
	defer protect("giving the optimizer's state", &err)
	return s.give(r.optimizer)
}
