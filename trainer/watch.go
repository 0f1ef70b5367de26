package trainer

// What a run shows beside its numbers: histograms, samples of text, the live page. None of it can stop the run.

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"frugal/torch"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
	"frugal/trainer/monitor/live"
)

// buildHistograms prepares histograms, where there is something that shows them.
func (r *run) buildHistograms() (err error) {
	defer protect("making the histograms", &err)
	if r.showsHistograms() && r.leads() {
		r.histograms = newHistograms(r.model.Parameters(), r.model.Home())
		r.onClose(r.histograms.free)
	}
	return nil
}

func (r *run) showsHistograms() bool {
	return r.config.Monitoring.HistogramSteps > 0 && r.config.Monitoring.TensorBoard
}

// buildPrompts prepares the samples' prompts, and says at once which leaves the model nothing to write.
func (r *run) buildPrompts() error {
	m := r.config.Monitoring
	if m.SampleSteps == 0 {
		return nil
	}
	texts := m.Prompts
	if len(texts) == 0 {
		texts = []string{""} // what the model writes of itself
	}
	for _, text := range texts {
		p := prompt{text: text}
		for _, id := range r.tokenizer.Encode(text) {
			p.ids = append(p.ids, int64(id))
		}
		if n, most := max(1, len(p.ids)), min(m.MaxLength, r.config.MaxPositionEmbeddings); n >= most {
			return r.problem("monitoring.prompts", text, fmt.Sprintf("the prompt has %d tokens, which leaves nothing of %d (monitoring.max_length, "+
				"or max_position_embeddings where it is less)", n, most))
		}
		r.prompts = append(r.prompts, p)
	}
	return nil
}

// prompt is a text of monitoring.prompts.
type prompt struct {
	text string
	ids  []int64
}

// openLive serves the live page, where it is asked for.
func (r *run) openLive() monitor.Sink {
	if r.config.Monitoring.Listen == "" {
		return nil
	}
	server, err := live.Open(live.Options{FS: r.fs, Listen: r.config.Monitoring.Listen, OutputDir: r.config.OutputDir})
	if err != nil {
		r.logger.Warnf("%v; training goes on without the live page", err)
		return nil
	}
	if address, _, secret := strings.Cut(server.URL(), "?token="); secret { // train.log can be read by others
		monitor.LogToFile(r.logger, logrus.InfoLevel, "live page: "+address+" with the token that only the terminal showed")
		fmt.Fprintf(r.console, "live page, for whoever has this address: %s\n", server.URL())
	} else {
		r.infof("live page: %s", address)
	}
	return server
}

// observeGradients is for the optimizer: nil where the update that follows has no histogram.
func (r *run) observeGradients() func() {
	if r.histograms == nil || (r.done.Step+1)%int64(r.config.Monitoring.HistogramSteps) != 0 {
		return nil
	}
	return func() {
		r.harmless("histograms", func() error {
			var gradients []*torch.Tensor
			for _, p := range r.model.Parameters() {
				gradients = append(gradients, p.Gradient())
			}
			r.histograms.observe(gradients...)
			return nil
		})
	}
}

func (r *run) recordHistograms() {
	if r.histograms != nil && r.due(r.config.Monitoring.HistogramSteps) {
		r.harmless("histograms", func() error {
			r.model.Settle()
			r.monitor.Record(r.histograms.record(r.done.Step))
			return nil
		})
	}
}

// harmless makes an error of what is only shown, such as too little memory for it, a warning.
func (r *run) harmless(what string, f func() error) {
	err := func() (err error) {
		defer protect(what, &err)
		return f()
	}()
	if err != nil {
		r.logger.Warnf("%v (the run goes on)", err)
	}
}

// sampleIfDue writes each prompt's samples, unless a signal arrives first: then they stay due, as an evaluation does. Of several processes
// the first does.
func (r *run) sampleIfDue() error {
	if !r.done.SamplesDue || r.interrupted() != nil {
		return nil
	}
	start := time.Now()
	var records []monitor.Record
	if r.leads() {
		r.harmless("samples", func() (err error) { records, err = r.samples(); return err })
	}
	r.clock.exclude(time.Since(start))
	if _, err := r.agree(nil, false); err != nil || r.signal != nil {
		return err
	}
	r.done.SamplesDue = false
	for _, record := range records {
		r.monitor.Record(record)
	}
	return nil
}

func (r *run) samples() (records []monitor.Record, err error) {
	goOn := func(int, int64) bool { r.receive(); return r.received == nil }
	for i, p := range r.prompts {
		sequences, err := r.model.Generate(context.Background(), p.ids, r.config.Monitoring.NumReturnSequences, r.sampling(i), goOn)
		if err != nil {
			return records, fmt.Errorf("samples: %w", err)
		}
		for j, ids := range sequences {
			records = append(records, monitor.Record{Event: "sample", Step: r.done.Step, Fields: []monitor.Field{
				{Name: "prompt_index", Value: i}, {Name: "sample_index", Value: j}, {Name: "prompt", Value: p.text},
				{Name: "text", Value: r.tokenizer.Decode(unsigned(append(p.ids[:len(p.ids):len(p.ids)], ids...)))},
			}})
		}
	}
	return records, nil
}

// sampling is how the samples of a prompt are drawn at the present step: a function of the seed, so that a resumed run writes
// the same.
func (r *run) sampling(prompt int) gpt2.Sampling {
	m := r.config.Monitoring
	end, _ := r.tokenizer.EndToken()
	return gpt2.Sampling{Temperature: m.Temperature, TopK: m.TopK, TopP: m.TopP, MaxLength: m.MaxLength, EndToken: int64(end), Precision: r.precision,
		Seed: dropoutSeed(r.config.Seed, r.done.Step, prompt, 0, 0)}
}

func unsigned(ids []int64) []uint32 {
	list := make([]uint32, len(ids))
	for i, id := range ids {
		list[i] = uint32(id)
	}
	return list
}
