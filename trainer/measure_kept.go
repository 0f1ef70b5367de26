package trainer

// What was measured when a run began, kept in its checkpoints as curriculum.json.

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"frugal/trainer/data"
)

const measuredFile = "curriculum.json"

// measured is what curriculum.difficulty auto found. A resume takes it from the checkpoint: it needs neither the time nor
// curriculum.model, and on another device the order stays what it was.
type measured struct {
	Of     string    `json:"of"`                  // what was measured, and how: a digest
	Values []float64 `json:"values"`              // by stage or bucket, in the measure's unit
	Bucket []byte    `json:"bucket_of,omitempty"` // of each passage of the corpus: two bytes, little-endian
}

// measuredOf is the digest of the passages that are to be measured, by stage, and of how.
func (r *run) measuredOf(stages ...*data.Passages) string {
	c, h := r.config.Curriculum, sha256.New()
	fmt.Fprintf(h, "%s %d\n", c.Measure, c.Buckets)
	if c.Measure == "model" {
		fmt.Fprintf(h, "%q\n", c.Model)
	}
	for _, p := range stages {
		fmt.Fprintln(h, p.Identity())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// keptMeasured finds in the checkpoint what was measured of the same texts in the same way; nil: nothing.
func (r *run) keptMeasured(of string) (*measured, error) {
	if r.from == nil {
		return nil, nil
	}
	if _, ok := r.from.Manifest.Files[measuredFile]; !ok {
		return nil, nil
	}
	text, err := readFile(r.from, measuredFile)
	if err != nil {
		return nil, err
	}
	kept := &measured{}
	if err := json.Unmarshal(text, kept); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %s: %w", r.from.Dir, measuredFile, err)
	}
	if kept.Of != of {
		return nil, nil
	}
	r.infof("curriculum: measured when the run began; the checkpoint keeps what was found")
	return kept, nil
}

// packBuckets writes the bucket of each passage for the checkpoint, unpackBuckets reads them.
func packBuckets(bucketOf []int) (packed []byte) {
	for _, bucket := range bucketOf {
		packed = binary.LittleEndian.AppendUint16(packed, uint16(bucket))
	}
	return packed
}

func unpackBuckets(packed []byte) (bucketOf []int) {
	for ; len(packed) >= 2; packed = packed[2:] {
		bucketOf = append(bucketOf, int(binary.LittleEndian.Uint16(packed)))
	}
	return bucketOf
}
