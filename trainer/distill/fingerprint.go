package distill

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"frugal/trainer/gpt2"
	"frugal/trainer/safetensors"
)

// Fingerprint is the hex SHA-256 of everything that decides a teacher's probabilities: its architecture, and its weights as they
// lie in their file.
func Fingerprint(c gpt2.Config, weights *safetensors.File) string {
	h := sha256.New()
	fmt.Fprintf(h, "gpt2 %d %d %d %d %d %d %v %v\n", c.VocabSize, c.HiddenSize, c.NumLayers, c.NumHeads, c.IntermediateSize,
		c.MaxPositionEmbeddings, c.LayerNormEpsilon, c.ExactGELU)
	for _, name := range slices.Sorted(slices.Values(weights.Names())) {
		info, data, _ := weights.Tensor(name)
		fmt.Fprintf(h, "%q %s %v\n", name, info.DType, info.Shape)
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
