package main

// gotorch's side of the measurements.

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	gotorch "github.com/wangkuiyi/gotorch"
)

// What a GPT-2's training as frugal does it calls in libtorch, by the names in frugal/torch, each there or not in gotorch.
var wanted = []string{
	"Embedding", "LayerNorm", "GELU", "LogSoftmax", "SelfAttention", "MatMul", "Dropout", "Gather", "Narrow",
	"NoGrad", "EnableGrad", "FusedAdamW_", "Norm", "AMPUpdateScale_", "BFloat16", "MemoryStats",
}

func missingOperations() {
	have := map[string]bool{}
	err := filepath.WalkDir("build/gotorch", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				have[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					have[name.Name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var missing []string
	for _, name := range wanted {
		if !have[name] {
			missing = append(missing, name)
		}
	}
	fmt.Printf("%d of %d: %s\n", len(missing), len(wanted), strings.Join(missing, ", "))
}

func backwardGotorch() {
	defer func() {
		if p := recover(); p != nil {
			fmt.Printf("recovered: %v\n", p)
		}
	}()
	x := gotorch.RandN([]int64{2}, true)
	y := gotorch.Mul(x, x)
	y.Backward()
	runtime.KeepAlive(x)
}

// busyCollector collects garbage for as long as the process lives.
func busyCollector() {
	for {
		runtime.GC()
	}
}

func collectorGotorch() {
	go busyCollector()
	shape := []int64{256, 256}
	sums := 0
	for start := time.Now(); time.Since(start) < 30*time.Second; sums++ {
		gotorch.Add(gotorch.Full(shape, 1, false), gotorch.Full(shape, 2, false), 1)
	}
	fmt.Printf("alive after %d sums\n", sums)
}

func temporariesGotorch() {
	for range 1000 {
		gotorch.Full([]int64{2_500_000}, 1, false)
	}
	fmt.Printf("peak resident memory %d MB\n", peakMemory())
}

func temporariesGotorchGC() {
	gotorch.GC() // gotorch counts only what is made after the first call
	start := time.Now()
	for range 1000 {
		gotorch.Full([]int64{2_500_000}, 1, false)
		gotorch.GC()
	}
	fmt.Printf("peak resident memory %d MB, %.2f s\n", peakMemory(), time.Since(start).Seconds())
	gotorch.FinishGC()
}

// The step of both mlp measurements: loss = sum((((x·w1)²)·w2 - target)²) of a batch, its gradients, and w -= rate·gradient.
const (
	mlpBatch, mlpIn, mlpHidden, mlpOut = 32, 128, 128, 64
	mlpSteps, mlpRate                  = 2000, 1e-9
)

func mlpGotorch() {
	gotorch.SetNumThreads(1)
	x, target := gotorch.RandN([]int64{mlpBatch, mlpIn}, false), gotorch.RandN([]int64{mlpBatch, mlpOut}, false)
	w1, w2 := gotorch.RandN([]int64{mlpIn, mlpHidden}, true), gotorch.RandN([]int64{mlpHidden, mlpOut}, true)
	optimizer := gotorch.SGD(mlpRate, 0, 0, 0, false)
	optimizer.AddParameters([]gotorch.Tensor{w1, w2})
	gotorch.GC()
	report := timed()
	for range mlpSteps {
		optimizer.ZeroGrad()
		hidden := gotorch.MM(x, w1)
		squared := gotorch.Mul(hidden, hidden)
		product := gotorch.MM(squared, w2)
		difference := gotorch.Sub(product, target, 1)
		square := gotorch.Mul(difference, difference)
		loss := gotorch.Sum(square)
		loss.Backward()
		optimizer.Step()
		for _, t := range []gotorch.Tensor{hidden, squared, product, difference, square, loss} {
			runtime.KeepAlive(t.T)
		}
		gotorch.GC()
	}
	report()
	for _, t := range []gotorch.Tensor{x, target, w1, w2} {
		runtime.KeepAlive(t.T)
	}
	os.Exit(0) // FinishGC would wait for the parameters, which live on
}
