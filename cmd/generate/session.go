package main

// One model, its prompts, and their texts on the way out.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"frugal/torch"
	"frugal/trainer"
)

// usageError is what the caller has to do otherwise.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// session is one run of the program.
type session struct {
	options
	stdin, stdout *os.File
	stderr        io.Writer
	asks, shows   bool // standard input, standard output is a terminal

	thread *torch.Thread
	model  *trainer.Pretrained
	texts  int // that have been written
}

func (s *session) run(ctx context.Context) error {
	s.thread = torch.StartThread()
	defer s.thread.Stop()
	if err := torch.Call(s.thread, s.open); err != nil {
		return err
	}
	defer s.thread.Do(s.model.Model.Free)
	if s.hasPrompt {
		return s.answer(ctx, s.prompt)
	}
	if s.asks {
		fmt.Fprintln(s.stderr, "Type the beginning of a text and press Enter; Ctrl-D ends.")
	}
	return s.answerAll(ctx)
}

// open sets the device up and opens the model. On the tensor thread.
func (s *session) open() (err error) {
	defer catch(&err)
	device, _, err := trainer.ChooseDevice(s.device)
	if err != nil {
		return &usageError{fmt.Errorf("-device: %s: %w", s.device, err)}
	}
	if s.threads > 0 {
		torch.SetNumThreads(s.threads)
	}
	if s.model, err = trainer.OpenPretrained(s.options.model, device); err != nil {
		return fmt.Errorf("-model: %w", err)
	}
	for _, passedBy := range s.model.PassedBy {
		fmt.Fprintf(s.stderr, "generate: passed over: %v\n", passedBy)
	}
	s.EndToken = s.model.EndToken()
	return nil
}

// answerAll answers every line of standard input. At a terminal a prompt that cannot be continued is not the end.
func (s *session) answerAll(ctx context.Context) error {
	lines, failed := make(chan string), make(chan error, 1)
	go func() {
		defer close(lines)
		reader := bufio.NewReader(s.stdin)
		for {
			line, err := reader.ReadString('\n')
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				lines <- line
			}
			if err != nil {
				if err != io.EOF {
					failed <- fmt.Errorf("standard input: %w", err)
				}
				return
			}
		}
	}()
	for count := 0; ; count++ {
		select {
		case <-ctx.Done():
			if s.shows {
				fmt.Fprintln(s.stdout)
			}
			return ctx.Err()
		case line, more := <-lines:
			if !more {
				return s.end(count, failed)
			}
			err := s.answer(ctx, line)
			if bad := (*usageError)(nil); s.asks && errors.As(err, &bad) {
				fail(s.stderr, 2, "%v", err)
			} else if err != nil {
				return err
			}
		}
	}
}

// end is what comes of standard input's end after count prompts.
func (s *session) end(count int, failed <-chan error) error {
	select {
	case err := <-failed:
		return err
	default:
	}
	if count == 0 && !s.asks {
		return &usageError{errors.New("standard input holds no prompt; -prompt TEXT gives one")}
	}
	return nil
}

// answer writes the texts of one prompt: the first as its tokens come, the others, which come beside it, one after another.
func (s *session) answer(ctx context.Context, prompt string) (err error) {
	ids := make([]int64, 0, len(prompt))
	for _, id := range s.model.Tokenizer.Encode(prompt) {
		ids = append(ids, int64(id))
	}
	if err := s.model.Model.CheckPrompt(ids, s.Sampling); err != nil {
		if s.MaxLength > 0 && s.MaxLength < s.model.Model.MaxPositionEmbeddings {
			err = fmt.Errorf("%w; a larger -max-length leaves room", err)
		}
		return &usageError{err}
	}
	w := &writer{session: s, stream: s.model.Tokenizer.Stream()}
	w.begin(0, prompt)
	sequences, err := torch.Call(s.thread, func() result { return s.generate(ctx, ids, w) }).unpack()
	w.finish()
	for i := 1; i < len(sequences) && err == nil && w.err == nil; i++ {
		w.begin(i, prompt)
		for _, id := range sequences[i] {
			w.write(w.stream.Next(uint32(id)))
		}
		w.finish()
	}
	if w.err != nil {
		return fmt.Errorf("standard output: %w", w.err)
	}
	return err
}

// result is what generate returns, as one value.
type result struct {
	sequences [][]int64
	err       error
}

func (r result) unpack() ([][]int64, error) { return r.sequences, r.err }

func (s *session) generate(ctx context.Context, ids []int64, w *writer) (r result) {
	defer catch(&r.err)
	r.sequences, r.err = s.model.Model.Generate(ctx, ids, s.n, s.Sampling, func(sequence int, id int64) bool {
		if sequence == 0 {
			w.write(w.stream.Next(uint32(id)))
		}
		return w.err == nil
	})
	return r
}

// catch turns a panic of libtorch's into an error.
func catch(err *error) {
	v := recover()
	if v == nil {
		return
	}
	var e *torch.Error
	if cause, ok := v.(error); ok && errors.As(cause, &e) {
		*err = e
		return
	}
	panic(v)
}
