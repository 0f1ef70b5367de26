// Command tokenizer runs the project's tokenizer for scripts that compare it with others: bench/tokenizer/peers.py and
// scripts/check_tokenizer.py. It reads one command a line and answers each with one line of JSON:
//
//	load FILE…          the texts to work on, one document a file
//	new                 a fresh GPT-2 tokenizer, its cache empty
//	encode              encode all texts; seconds of CPU time and number of ids
//	train SIZE          train a vocabulary of SIZE ids on the texts; seconds of CPU time
//	bytes               the tokenizer of single bytes
//	save DIR            write the tokenizer's files
//	ids FILE            write the ids of all texts, a list for each text
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"frugal/trainer/tokenizer"
)

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/tokenizer:", err)
		os.Exit(1)
	}
}

func serve() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: commands are read from the input", flag.Arg(0))
	}
	b := &bench{}
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		answer, err := b.do(words[0], words[1:])
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

type bench struct {
	texts [][]byte
	t     *tokenizer.Tokenizer
	ids   []uint32
}

func (b *bench) do(command string, arguments []string) (map[string]any, error) {
	switch {
	case command == "load":
		return b.load(arguments)
	case command == "new":
		return b.use(tokenizer.GPT2())
	case command == "bytes":
		return b.use(tokenizer.Bytes(), nil)
	case command == "encode" && b.t != nil:
		return b.encode(), nil
	case command == "train" && len(arguments) == 1:
		return b.train(arguments[0])
	case command == "save" && b.t != nil && len(arguments) == 1:
		return b.save(arguments[0])
	case command == "ids" && b.t != nil && len(arguments) == 1:
		return b.writeIDs(arguments[0])
	}
	return nil, fmt.Errorf("%s %s: not a command, or one that needs \"new\", \"bytes\" or \"train\" before it", command, strings.Join(arguments, " "))
}

func (b *bench) use(t *tokenizer.Tokenizer, err error) (map[string]any, error) {
	if err != nil {
		return nil, err
	}
	b.t = t
	return map[string]any{"vocab_size": t.VocabSize()}, nil
}

func (b *bench) load(files []string) (map[string]any, error) {
	b.texts = nil
	size := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		b.texts = append(b.texts, text)
		size += len(text)
	}
	return map[string]any{"bytes": size}, nil
}

func (b *bench) encode() map[string]any {
	runtime.GC()
	start := cpuSeconds()
	total := 0
	for _, text := range b.texts {
		b.ids = b.t.AppendEncode(b.ids[:0], text)
		total += len(b.ids)
	}
	return map[string]any{"seconds": cpuSeconds() - start, "ids": total}
}

func (b *bench) train(size string) (map[string]any, error) {
	n, err := strconv.Atoi(size)
	if err != nil {
		return nil, err
	}
	documents := func(yield func([]byte, error) bool) {
		for _, text := range b.texts {
			if !yield(text, nil) {
				return
			}
		}
	}
	runtime.GC()
	start := cpuSeconds()
	b.t, err = tokenizer.Train(context.Background(), documents, n, nil)
	if err != nil {
		return nil, err
	}
	return map[string]any{"seconds": cpuSeconds() - start, "vocab_size": b.t.VocabSize()}, nil
}

func (b *bench) save(dir string) (map[string]any, error) {
	files, err := b.t.Files(1024)
	if err != nil {
		return nil, err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return nil, err
		}
	}
	return map[string]any{"files": len(files)}, nil
}

func (b *bench) writeIDs(file string) (map[string]any, error) {
	lists := make([][]uint32, len(b.texts))
	for i, text := range b.texts {
		lists[i] = b.t.AppendEncode([]uint32{}, text)
	}
	content, err := json.Marshal(lists)
	if err != nil {
		return nil, err
	}
	return map[string]any{"texts": len(lists)}, os.WriteFile(file, content, 0o666)
}

// cpuSeconds is the time that this process has had a processor, which other work on the machine does not add to.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it fails for a wrong argument only
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
