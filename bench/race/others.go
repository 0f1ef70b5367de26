package main

// What other directories of bench/ race: their tables become part of this one.

import (
	"strconv"
	"strings"
)

func (b *bench) raceGeneration() error {
	b.say("generation: go run ./bench/generate")
	answer, err := b.output(b.command(nil, "go", "run", "./bench/generate", "-python", b.python, "-threads", strconv.Itoa(b.threads), "-rounds", strconv.Itoa(b.rounds)))
	b.results.Generation = string(answer)
	return err
}

func (b *bench) raceTokenizer() error {
	b.say("tokenizer: bench/tokenizer/peers.py corpus/pt")
	answer, err := b.output(b.command(nil, b.python, "bench/tokenizer/peers.py", "--rounds", strconv.Itoa(b.rounds), "corpus/pt"))
	b.results.Tokenizer = string(answer)
	return err
}

func (b *bench) precisionList() []string { return strings.Split(b.precisions, ",") }
