package main

// What a model's name says, and what follows of it.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseShape(t *testing.T) {
	for name, want := range map[string]shape{
		"6x384-v50257-t256":     {6, 384, 50257, 256, 4},
		"12x768-v8192-t1024":    {12, 768, 8192, 1024, 1},
		"6x384-v8192-t128-b32":  {6, 384, 8192, 128, 32},
		"2x64-v257-t2048":       {2, 64, 257, 2048, 1},
		"1x1280-v65536-t512-b1": {1, 1280, 65536, 512, 1},
	} {
		if got, err := parseShape(name); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"demo":                   "no model",
		"6x384-v50257":           "no model",
		"6x384-v50257-t256-b":    "no model",
		"6x100-v50257-t256":      "multiple of 64",
		"6x384-v100-t256":        "vocabulary",
		"6x384-v100000-t256":     "vocabulary",
		"6x384-v50257-t1":        "nothing to learn",
		"0x384-v50257-t256":      "no size",
		"6x384-v50257-t256-b0":   "no size",
		"6x384-v50257-t256-b1x9": "no model",
	} {
		if got, err := parseShape(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", name, got, err, want)
		}
	}
}

// GPT-2's smallest has 124,439,808 parameters; a step of 6 × 384 at 4 × 256 takes 191 GFLOP by nanoGPT's formula.
func TestParametersAndOperations(t *testing.T) {
	gpt2 := shape{Layers: 12, Width: 768, Vocabulary: 50257, Sequence: 1024, Batch: 1}
	if got := gpt2.parameters(); got != 124439808 {
		t.Errorf("GPT-2 has %d parameters", got)
	}
	small := shape{Layers: 6, Width: 384, Vocabulary: 50257, Sequence: 256, Batch: 4}
	if got := small.flopsPerToken() * float64(small.tokens()) / 1e9; got < 190.5 || got > 191.5 {
		t.Errorf("a step takes %.1f GFLOP, want 191", got)
	}
}

func TestPeerNames(t *testing.T) {
	p, err := peerOf("compile+kept")
	if err != nil || !p.kept || !p.compiled || p.name != "compile+kept" || !strings.Contains(p.title, "kept") {
		t.Errorf("got %+v, %v", p, err)
	}
	c := &testCase{folder: "f", settings: "s", rows: "r"}
	if env := p.environment(c); len(env) != 2 || env[1] != keepFreed {
		t.Errorf("environment %q", env)
	}
	c.folder = t.TempDir()
	if err := os.Mkdir(filepath.Join(c.folder, "compiled-compile+kept"), 0o777); err != nil {
		t.Fatal(err)
	}
	if env := p.environment(c); len(env) != 3 || env[1] != "TORCHINDUCTOR_COMPILE_THREADS=1" {
		t.Errorf("with everything compiled, environment %q", env)
	}
	if plain, err := peerOf("eager"); err != nil || plain.kept || len(plain.environment(c)) != 0 {
		t.Errorf("got %+v, %v", plain, err)
	}
	for _, name := range []string{"", "kept", "+kept", "eager+", "Eager"} {
		if _, err := peerOf(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	for _, list := range []string{defaultPeers, allPeers} {
		for name := range strings.SplitSeq(list, ",") {
			if _, err := peerOf(name); err != nil {
				t.Error(err)
			}
		}
	}
	for name := range strings.SplitSeq(defaultModels+","+allModels, ",") {
		if _, err := parseShape(name); err != nil {
			t.Error(err)
		}
	}
}

func TestTheCommandLineIsCheckedFirst(t *testing.T) {
	good := options{parts: "steps,curve", peers: defaultPeers, models: defaultModels, precisions: "fp32,bf16"}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*options){
		"-parts":      func(o *options) { o.parts = "steps,laps" },
		"-peers":      func(o *options) { o.peers = "" },
		"-models":     func(o *options) { o.models = "6x384-v50257-t256,demo" },
		"-precisions": func(o *options) { o.precisions = "fp16" },
	} {
		o := good
		spoil(&o)
		if err := o.check(); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
