package main

// The peer's process, asked and answered in lines of JSON.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

type peer struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
}

func startPeer(python, directory string, threads int) (*peer, error) {
	p := &peer{command: exec.Command(python, script, "serve", directory, strconv.Itoa(threads))}
	p.command.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(stdout)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	var ready struct{ Torch, Transformers string }
	if err := p.answers.Decode(&ready); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s does not answer: %w", script, err)
	}
	return p, nil
}

func (p *peer) generate(prompt []int64, n, tokens int) (float64, [][]int64, error) {
	request, err := json.Marshal(map[string]any{"prompt": prompt, "n": n, "tokens": tokens})
	if err != nil {
		return 0, nil, err
	}
	if _, err := p.stdin.Write(append(request, '\n')); err != nil {
		return 0, nil, err
	}
	var answer struct {
		Seconds float64
		Texts   [][]int64
	}
	if err := p.answers.Decode(&answer); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", script, err)
	}
	return answer.Seconds, answer.Texts, nil
}

// stop ends the process: it has read its input to the end.
func (p *peer) stop() {
	p.stdin.Close()
	p.command.Wait()
}
