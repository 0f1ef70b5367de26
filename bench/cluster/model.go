package main

// The formulas: a model's parts, what crosses the network, and how long a step takes.

import (
	"fmt"
	"math"
)

// shape is a GPT-2, whose inner layers are four times as wide.
type shape struct{ layers, hidden, vocabulary, positions int }

// The sizes of the prediction, as OpenAI has them.
var (
	small = shape{12, 768, 50257, 1024}
	large = shape{48, 1600, 50257, 1024}
)

// embedding is the stage whose gradients are complete last: of the tokens, which are the head's weight as well, and of the positions.
func (s shape) embedding() int64 { return int64(s.vocabulary+s.positions) * int64(s.hidden) }

// block is one of the stages whose gradients are complete from the last to the first.
func (s shape) block() int64 { return int64(s.hidden) * (12*int64(s.hidden) + 13) }

// norm is the stage whose gradients are complete first.
func (s shape) norm() int64 { return 2 * int64(s.hidden) }

func (s shape) parameters() int64 { return s.embedding() + int64(s.layers)*s.block() + s.norm() }

// million is the number of parameters, as the sizes are called.
func (s shape) million() string { return fmt.Sprintf("%.0fM", float64(s.parameters())/1e6) }

// way is how processes come to the same weights.
type way struct {
	name  string
	set   []string
	bytes float64 // of a gradient
	shard bool    // the weights are sent as well
	local int     // updates to a synchronisation
}

var (
	fp32  = way{"fp32", nil, 4, false, 1}
	bf16  = way{"reduce_precision bf16", []string{"reduce_precision=bf16"}, 2, false, 1}
	shard = way{"shard_optimizer", []string{"shard_optimizer=true"}, 4, true, 1}
	local = way{fmt.Sprint("local_steps ", localSteps), []string{fmt.Sprint("local_steps=", localSteps)}, 4, false, localSteps}
)

const localSteps = 4

// sent is the bytes that each of several processes sends for an update of so many weights, on average.
func (w way) sent(weights int64, processes int) float64 {
	others := float64(processes-1) / float64(processes)
	bytes := 2 * others * float64(weights) * w.bytes / float64(w.local)
	if w.shard {
		bytes += others * 4 * float64(weights)
	}
	return bytes
}

// link is a machine's to all others.
type link struct {
	bandwidth float64 // bytes a second of what is sent, each way
	latency   float64 // seconds of a message, however short
}

// What of a stream lies in an Ethernet frame of 1500 bytes beside the headers of IP and TCP, 1448 bytes, as share of the frame where
// tbf counts it, and where a wire carries it, with what is before, behind and between frames.
const (
	shareOfFrame = 1448.0 / 1514
	shareOfWire  = 1448.0 / 1538
)

// allReduce is the time that it takes to sum so many numbers around a ring.
func (l link) allReduce(elements int64, bytes float64, processes int) float64 {
	others := float64(processes - 1)
	return 2*others/float64(processes)*float64(elements)*bytes/l.bandwidth + 2*others*l.latency
}

// work is what a machine does in an update, without a network, in seconds.
type work struct {
	step  float64
	micro float64 // of this a micro-batch
}

// overlap is the part of the last micro-batch's backward pass beside which gradients cross: all blocks' but the last one's, with whose
// end the first gradients are there. Of a micro-batch's operations two thirds are the backward pass's, and blocks and head have as many
// as they have weights.
func (s shape) overlap(micro float64) float64 {
	return micro * 2 / 3 * float64(int64(s.layers-1)*s.block()) / float64(s.parameters())
}

// crossing is what a link does to a step.
type crossing struct {
	whole float64 // seconds that the gradients cross
	late  float64 // of these those of the embedding and the first block, which are complete last: they are never hidden
	shown float64 // seconds that the step is longer
}

func (s shape) cross(w work, how way, over link, processes int) crossing {
	stage := func(weights int64) float64 { return over.allReduce(weights, how.bytes, processes) }
	c := crossing{late: stage(s.embedding()) + stage(s.block())}
	early := stage(s.norm()) + float64(s.layers-1)*stage(s.block())
	c.whole = early + c.late
	c.shown = c.late + max(0, early-s.overlap(w.micro))
	return c
}

// assumed is a machine's work by its speed: six operations a weight and token.
func (s shape) assumed(tflops float64, tokens, microBatches int) work {
	step := 6 * float64(s.parameters()) * float64(tokens) / (tflops * 1e12)
	return work{step, step / float64(microBatches)}
}

// enough is the share of a step that is to be work.
const enough = 0.9

// hiddenFrom is the number of micro-batches from which enough of a step is work.
func (c crossing) hiddenFrom(micro float64) int {
	return max(1, int(math.Ceil(c.shown*enough/(1-enough)/micro-1e-9)))
}
