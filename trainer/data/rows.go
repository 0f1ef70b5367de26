package data

// Rows: a stream cut into pieces that the model sees at once, and the order in which an epoch visits them.

import (
	"math/bits"
	"slices"
)

// rows is a set of rows, numbered from 0. Every row has two ids or more, so one target or more.
type rows interface {
	len() int
	// at returns where row i begins in its stream and how many ids it has.
	at(i int) (from int64, length int)
	// read fills dst with ids of the stream.
	read(dst []int64, from int64)
}

// newRows divides a stream as the options say. keepTail keeps a last incomplete block.
func newRows(s *stream, o Options, keepTail bool) rows {
	if !o.Packing {
		return newDocumentRows(s, o.Positions)
	}
	blocks := s.length() / int64(o.Positions)
	if keepTail && s.length()%int64(o.Positions) >= 2 {
		blocks++
	}
	return packedRows{stream: s, positions: int64(o.Positions), blocks: int(blocks)}
}

// packedRows are blocks of the joined documents, all of the same length but for a kept last one.
type packedRows struct {
	*stream
	positions int64
	blocks    int
}

func (r packedRows) len() int { return r.blocks }

func (r packedRows) at(i int) (int64, int) {
	from := int64(i) * r.positions
	return from, int(min(r.positions, r.stream.length()-from))
}

// documentRows are the documents, cut to the longest row.
type documentRows struct {
	*stream
	positions int64
	rows      []uint32 // numbers of the documents of two ids or more
}

func newDocumentRows(s *stream, positions int) documentRows {
	r := documentRows{stream: s, positions: int64(positions)}
	for i := range s.firsts {
		if r.end(i)-s.firsts[i] >= 2 {
			r.rows = append(r.rows, uint32(i))
		}
	}
	return r
}

// end returns where document i ends in the stream.
func (r documentRows) end(i int) int64 {
	if i+1 < len(r.firsts) {
		return r.firsts[i+1]
	}
	return r.stream.length()
}

func (r documentRows) len() int { return len(r.rows) }

func (r documentRows) at(i int) (int64, int) {
	document := int(r.rows[i])
	from := r.firsts[document]
	return from, int(min(r.positions, r.end(document)-from))
}

// joinedRows are the rows of several sets, one set after another.
type joinedRows struct {
	sets   []rows
	ends   []int   // number of the row after each set
	starts []int64 // in the joined streams, of each set's stream
}

func joinRows(sets []rows, streams []*stream) rows {
	if len(sets) == 1 {
		return sets[0]
	}
	j := joinedRows{sets: sets}
	rows, ids := 0, int64(0)
	for i, set := range sets {
		rows += set.len()
		j.ends, j.starts = append(j.ends, rows), append(j.starts, ids)
		ids += streams[i].length()
	}
	return j
}

func (j joinedRows) len() int { return j.ends[len(j.ends)-1] }

func (j joinedRows) at(i int) (int64, int) {
	set := slices.IndexFunc(j.ends, func(end int) bool { return i < end })
	if set > 0 {
		i -= j.ends[set-1]
	}
	from, length := j.sets[set].at(i)
	return j.starts[set] + from, length
}

func (j joinedRows) read(dst []int64, from int64) {
	set := len(j.starts) - 1
	for j.starts[set] > from {
		set--
	}
	j.sets[set].read(dst, from-j.starts[set])
}

// longestFirst lists the rows by their lengths, those of one length in their order.
func longestFirst(r rows) []int32 {
	lengths, numbers := make([]int, r.len()), make([]int32, r.len())
	for i := range numbers {
		numbers[i] = int32(i)
		_, lengths[i] = r.at(i)
	}
	slices.SortStableFunc(numbers, func(a, b int32) int { return lengths[b] - lengths[a] })
	return numbers
}

// order is a permutation of n rows, a function of (seed, epoch), looked up row by row in no memory: the swap-or-not shuffle
// of Hoang, Morris and Rogaway, "An Enciphering Scheme Based on a Card Shuffle" (2012), with splitmix64 for its randomness.
type order struct {
	n    uint64
	keys [64]uint64
}

func newOrder(seed uint64, epoch, n int) *order {
	o := &order{n: uint64(n)}
	state := mix(seed) + uint64(epoch)
	for i := range o.keys {
		o.keys[i] = mix(mix(state) + uint64(i))
	}
	return o
}

// at returns the row at a position of the epoch.
func (o *order) at(position int) int {
	x := uint64(position)
	for _, key := range o.keys {
		turn, _ := bits.Mul64(key, o.n) // uniform in [0, n)
		partner := turn + o.n - x
		if partner >= o.n {
			partner -= o.n
		}
		if mix(key^mix(max(x, partner)))&1 == 1 {
			x = partner
		}
	}
	return int(x)
}

// mix is the output function of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
