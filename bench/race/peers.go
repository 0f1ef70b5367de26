package main

// Who races: each a row of the table and a bar of the picture.

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	nanoGPT   = "bench/race/nanogpt_like.py"
	hfTrainer = "bench/race/hf_trainer.py"
	machine   = "bench/race/machine.py"
)

// keepFreed tells glibc to keep freed memory instead of giving it back to the system after every operation and asking for it
// again, which costs PyTorch a quarter of its speed and more.
const keepFreed = "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"

// peer is one who is raced against.
type peer struct {
	name, title string
	script      string
	mode        string // of torch.compile, or the Trainer's GELU
	alike       string // a mode in which it rounds to bf16 where we do, which its own does not; "" where that does
	compiled    bool
	kept        bool
}

var peers = []peer{
	{name: "eager", title: "PyTorch, eager", script: nanoGPT, mode: "eager"},
	{name: "compile", title: "torch.compile", script: nanoGPT, mode: "default", compiled: true},
	{name: "max-autotune", title: "torch.compile, max-autotune", script: nanoGPT, mode: "max-autotune", compiled: true},
	{name: "trainer", title: "Hugging Face Trainer", script: hfTrainer, mode: "gelu_new", alike: "gelu_pytorch_tanh"},
}

func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

// peerOf finds a peer by its name, behind which +kept may stand.
func peerOf(name string) (peer, error) {
	plain, kept := strings.CutSuffix(name, "+kept")
	i := slices.IndexFunc(peers, func(p peer) bool { return p.name == plain })
	if i < 0 {
		return peer{}, fmt.Errorf("no peer %q: want some of %s, each with +kept behind it or without", name, strings.Join(peerNames(), ", "))
	}
	p := peers[i]
	if p.kept = kept; kept {
		p.name, p.title = name, p.title+", freed memory kept"
	}
	return p, nil
}

// environment is what a run of the peer has beside everybody's. What is compiled for a case and a peer is kept for its next run,
// which then needs no processes to compile with: they would run beside the steps.
func (p peer) environment(c *testCase) (list []string) {
	if p.compiled {
		kept := filepath.Join(c.folder, "compiled-"+p.name)
		list = append(list, "TORCHINDUCTOR_CACHE_DIR="+kept)
		if _, err := os.Stat(kept); err == nil {
			list = append(list, "TORCHINDUCTOR_COMPILE_THREADS=1")
		}
	}
	if p.kept {
		list = append(list, keepFreed)
	}
	return list
}

// arguments of the interpreter for a training.
func (p peer) arguments(c *testCase) []string {
	return []string{p.script, "train", c.settings, c.rows, c.output(p.name), strconv.Itoa(c.checked), p.mode}
}
