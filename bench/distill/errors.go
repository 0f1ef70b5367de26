package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"frugal/torch"
	"frugal/trainer"
	"frugal/trainer/distill"
	"frugal/trainer/gpt2"
)

// loss is how far the distillation loss of a teacher's k largest probabilities and its gradient, over all weights, are from the exact
// ones, relatively, and the share of the teacher's softened probability that they hold.
type loss struct {
	temperature           float64
	k                     int
	value, gradient, mass float64
}

var temperatures = []float64{1, 2}

// errors compares, in fp32, the losses of a batch of the corpus for each temperature and k, up to all ids. That log-probabilities are kept in 16 bits, which
// changes a probability by at most 0.025%, is not part of it.
func (b *bench) errors(teacherDir, studentDir string) (errs []loss, err error) {
	thread := torch.StartThread()
	defer thread.Stop()
	return errs, torch.Call(thread, func() error {
		torch.SetNumThreads(b.threads)
		teacher, err := trainer.OpenPretrained(teacherDir, torch.CPU)
		if err != nil {
			return err
		}
		t := distill.NewTeacher(teacher.Model, torch.Float32)
		defer t.Free()
		student, err := trainer.OpenPretrained(studentDir, torch.CPU)
		if err != nil {
			return err
		}
		defer student.Model.Free()
		scope := torch.OpenScope()
		defer scope.Close()
		ids, targets, err := rows(teacher)
		if err != nil {
			return err
		}
		for _, temperature := range temperatures {
			exact, wanted := gradients(student.Model, ids, targets, temperature, func(l distill.Loss) gpt2.Guide { return t.Guide(ids, l) })
			for _, k := range append(slices.Clone(b.ks), 1024, student.Model.VocabSize) {
				kept := t.TopK(ids, k, temperature)
				value, got := gradients(student.Model, ids, targets, temperature, kept.Tensors(torch.CPU).Guide)
				errs = append(errs, loss{temperature, k, math.Abs(value/exact - 1), distance(got, wanted), 1 - meanExp(kept.Rest)})
			}
		}
		return nil
	})
}

// rows are 8 of 256 ids of the corpus' hardest text, and their targets.
func rows(p *trainer.Pretrained) (ids, targets *torch.Tensor, err error) {
	const count, length = 8, 256
	files, err := filepath.Glob("corpus/pt/*.txt")
	if err != nil || len(files) == 0 {
		return nil, nil, fmt.Errorf("corpus/pt: no texts here: %w", err)
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		return nil, nil, err
	}
	encoded := p.Tokenizer.AppendEncode(nil, text)
	if len(encoded) < count*length {
		return nil, nil, fmt.Errorf("%s has %d tokens only", files[0], len(encoded))
	}
	var in, next []int64
	for i, id := range encoded[:count*length] {
		in, next = append(in, int64(id)), append(next, -1)
		if i%length > 0 {
			next[i-1] = int64(id)
		}
	}
	shape := []int64{count, length}
	return torch.FromInt64s(in, shape, torch.CPU), torch.FromInt64s(next, shape, torch.CPU), nil
}

// meanExp is the mean of e^x.
func meanExp(x []float32) (mean float64) {
	for _, v := range x {
		mean += math.Exp(float64(v)) / float64(len(x))
	}
	return mean
}

// gradients are the distillation loss and its gradient by all weights.
func gradients(student *gpt2.Model, ids, targets *torch.Tensor, temperature float64, guide func(distill.Loss) gpt2.Guide) (value float64, all []float32) {
	scope := torch.OpenScope()
	defer scope.Close()
	l := distill.Loss{Temperature: temperature, Alpha: 1, Sum: torch.Zeros(nil, torch.Float64, torch.CPU)}
	student.ForwardBackward(ids, targets, gpt2.Pass{Precision: torch.Float32, Seed: func(int) uint64 { return 0 }, Guide: guide(l),
		Weight: torch.Full(nil, 1, torch.Float32, torch.CPU), LossSum: torch.Zeros(nil, torch.Float64, torch.CPU)})
	for _, p := range student.Parameters() {
		all = append(all, p.Gradient().Float32s()...)
	}
	student.ClearGradients()
	return l.Sum.Item(), all
}

// distance is the norm of the difference over that of what is wanted.
func distance(got, want []float32) float64 {
	difference, norm := 0.0, 0.0
	for i, w := range want {
		difference += math.Pow(float64(got[i]-w), 2)
		norm += math.Pow(float64(w), 2)
	}
	return math.Sqrt(difference / norm)
}
