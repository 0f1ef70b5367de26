package gpt2

// The key/value cache: what attention has to know of the positions before, so that a new token costs one position's work.

import "frugal/torch"

// cache holds every block's keys and values for N sequences.
type cache []layerCache

// layerCache is one block's: [N, H, positions, C/H] each, of which the first length positions are set.
type layerCache struct {
	keys, values *torch.Tensor
	length       int64
}

// newCache makes an empty cache with room for all the positions that will come. Its memory belongs to the open scope.
func (m *Model) newCache(n, positions int64, dtype torch.DType) cache {
	c := make(cache, len(m.blocks))
	shape := []int64{n, int64(m.NumHeads), positions, int64(m.HiddenSize / m.NumHeads)}
	for i := range c {
		c[i] = layerCache{keys: torch.Empty(shape, dtype, m.Device), values: torch.Empty(shape, dtype, m.Device)}
	}
	return c
}

// length is the number of positions in the cache.
func (c cache) length() int64 { return c[0].length }

// selfAttention is attention of qkv [B, T, 3C]: queries, keys and values of the heads side by side → [B, T, C].
func (c *layerCache) selfAttention(qkv *torch.Tensor, heads int) *torch.Tensor {
	shape := qkv.Shape()
	B, T, C, H := shape[0], shape[1], shape[2]/3, int64(heads)
	head := func(i int64) *torch.Tensor { // → [B, H, T, C/H]
		return qkv.Narrow(2, i*C, C).Reshape(B, T, H, C/H).Transpose(1, 2)
	}
	return c.attention(head(0), head(1), head(2)).Transpose(1, 2).Reshape(B, T, C)
}

// attention adds the keys and values of the next T positions and returns what their queries see: [B, H, T, C/H] each. The first
// time one sequence (B 1) stands for all N, which have a prompt in common.
func (c *layerCache) attention(q, k, v *torch.Tensor) *torch.Tensor {
	B, T := k.Shape()[0], k.Shape()[2]
	add := func(all, new *torch.Tensor) *torch.Tensor {
		all.Narrow(2, c.length, T).Copy_(new)
		return all.Narrow(0, 0, B).Narrow(2, 0, c.length+T)
	}
	keys, values := add(c.keys, k), add(c.values, v)
	c.length += T
	return torch.AttentionRows(q, keys, values)
}
