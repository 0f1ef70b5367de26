package main

// The same measurements on frugal/torch.

import (
	"errors"
	"fmt"
	"time"

	"frugal/torch"
)

var cpu torch.Device // the zero device

// onThread runs f on the one thread that does tensor work.
func onThread(f func()) {
	thread := torch.StartThread()
	defer thread.Stop()
	thread.Do(f)
}

// scoped runs f and frees the tensors that it made.
func scoped(f func()) {
	scope := torch.OpenScope()
	defer scope.Close()
	f()
}

func backwardFrugal() {
	onThread(func() {
		scoped(func() {
			defer func() {
				var e *torch.Error
				if err, ok := recover().(error); ok && errors.As(err, &e) {
					fmt.Printf("recovered a *torch.Error: %v\n", e)
				}
			}()
			x := torch.RandN([]int64{2}, cpu).SetRequiresGrad(true)
			x.Mul(x).Backward()
		})
	})
}

func collectorFrugal() {
	go busyCollector()
	shape := []int64{256, 256}
	sums := 0
	onThread(func() {
		for start := time.Now(); time.Since(start) < 30*time.Second; sums++ {
			scoped(func() { torch.Full(shape, 1, torch.Float32, cpu).Add(torch.Full(shape, 2, torch.Float32, cpu)) })
		}
	})
	fmt.Printf("alive after %d sums\n", sums)
}

func temporariesFrugal() {
	start := time.Now()
	onThread(func() {
		for range 1000 {
			scoped(func() { torch.Full([]int64{2_500_000}, 1, torch.Float32, cpu) })
		}
	})
	fmt.Printf("peak resident memory %d MB, %.2f s\n", peakMemory(), time.Since(start).Seconds())
}

func mlpFrugal() {
	onThread(func() {
		torch.SetNumThreads(1)
		scoped(func() {
			x, target := torch.RandN([]int64{mlpBatch, mlpIn}, cpu), torch.RandN([]int64{mlpBatch, mlpOut}, cpu)
			parameters := []*torch.Tensor{
				torch.RandN([]int64{mlpIn, mlpHidden}, cpu).SetRequiresGrad(true), torch.RandN([]int64{mlpHidden, mlpOut}, cpu).SetRequiresGrad(true),
			}
			report := timed()
			for range mlpSteps {
				scoped(func() { mlpStep(x, target, parameters) })
			}
			report()
		})
	})
}

func mlpStep(x, target *torch.Tensor, parameters []*torch.Tensor) {
	hidden := x.MatMul(parameters[0])
	difference := hidden.Mul(hidden).MatMul(parameters[1]).Sub(target)
	difference.Mul(difference).Sum().Backward()
	torch.NoGrad(func() {
		for _, p := range parameters {
			p.Add_(p.Grad().MulScalar(-mlpRate))
			p.SetGrad(nil)
		}
	})
}
