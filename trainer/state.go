package trainer

// A checkpoint's contents: everything a resume needs, gathered into named files and read back from them.

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/data"
	"frugal/trainer/gpt2"
	"frugal/trainer/safetensors"
)

// progress is where a run stands, as far as the host knows: training_state.json.
type progress struct {
	Step           int64 `json:"step"`            // windows used, skipped updates included
	Tokens         int64 `json:"tokens"`          // of all windows, padding not counted
	PendingTargets int64 `json:"pending_targets"` // whose losses are in the device's sum
	EvaluationDue  bool  `json:"evaluation_due"`  // a signal came before the evaluation of this step
	SamplesDue     bool  `json:"samples_due"`     // or before its samples

	Kernels        kernelNames `json:"kernels"`
	MicroBatchRows int         `json:"micro_batch_rows,omitempty"` // since memory ran out; 0: batch_size
	Processes      int         `json:"processes,omitempty"`        // that train together; 0: one
	Began          int         `json:"began_processes,omitempty"`  // that the run began with, for which its configuration is; 0: one

	Drawn         []int64 `json:"drawn,omitempty"`          // rows by curriculum stage
	IntervalDrawn []int64 `json:"interval_drawn,omitempty"` // of them those since the last logged loss

	Interval tally `json:"interval"` // since the last logged loss
	Epoch    struct {
		tally
		Tokens  int64   `json:"tokens"`
		Seconds float64 `json:"seconds"`
	} `json:"epoch"` // since the epoch began
}

// unfinished says whether something that belongs to the step is still to do.
func (p *progress) unfinished() bool { return p.EvaluationDue || p.SamplesDue }

func (p *progress) advance(w *data.Window) {
	p.Step++
	p.Tokens += w.Tokens
	p.PendingTargets += w.Targets
	p.Epoch.Tokens += w.Tokens
	addCounts(p.Drawn, w.Drawn)
	addCounts(p.IntervalDrawn, w.Drawn)
}

// known is what the host last read of the scaler: the update it read it after, and the updates skipped until then.
type known struct{ step, skipped int64 }

// checkFinite refuses a loss that is NaN or infinite, and gradients that are: the weights are lost. With loss scaling an update
// whose gradients are not finite is skipped and leaves its loss out, so there the run is lost when the scale has fallen to nothing.
func (r *run) checkFinite(loss float64) error {
	what := ""
	if !isFinite(loss) {
		what = fmt.Sprintf("the loss is %v", loss)
	}
	if r.scaler == nil {
		if norm := r.optimizer.norm.Item(); what == "" && !isFinite(norm) {
			what = fmt.Sprintf("the gradient norm is %v", norm)
		}
	} else {
		r.known = known{r.done.Step, int64(r.scaler.skipped.Item())}
		if scale := r.scaler.scale.Item(); scale < 1.0/(1<<14) {
			what = fmt.Sprintf("the gradients are not finite even at a loss scale of %g", scale)
		}
	}
	if what != "" {
		return &NotFiniteError{Step: r.done.Step, What: what}
	}
	return nil
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// checkState refuses to save what a resume could not use: the pending losses and every weight must be finite.
func (r *run) checkState() (err error) {
	defer protect("checking the weights", &err)
	if err := r.checkFinite(r.lossSum.Item()); err != nil {
		return err
	}
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		if norm := r.model.Weights().Norm().Item(); !isFinite(norm) {
			err = &NotFiniteError{Step: r.done.Step, What: "the weights are no longer finite"}
		}
	})
	return err
}

// stateTensors are the tensors of training_state.safetensors, by name.
func (r *run) stateTensors() map[string]*torch.Tensor {
	state := r.optimizer.state()
	state["loss_sum"] = r.lossSum
	if d := r.distillation; d != nil {
		state["task_loss_sum"], state["distillation_loss_sum"] = d.task, d.sum
	}
	if s := r.scaler; s != nil {
		state["scaler.scale"], state["scaler.growth_tracker"], state["scaler.skipped"] = s.scale, s.growth, s.skipped
		state["scaler.lost_targets"] = s.lost
	}
	if r.outer != nil {
		for name, view := range r.outer.views {
			state[name] = view
		}
	}
	return state
}

var dtypeNames = map[torch.DType]string{torch.Float32: "F32", torch.Float64: "F64", torch.Int32: "I32", torch.Int64: "I64"}

func (r *run) stateSources() []safetensors.Source {
	var sources []safetensors.Source
	for name, t := range r.stateTensors() {
		sources = append(sources, safetensors.Source{Name: name, DType: dtypeNames[t.DType()], Shape: t.Shape(), Write: func(w io.Writer) error {
			_, err := t.WriteTo(w)
			return err
		}})
	}
	if r.gathering != nil {
		sources = append(sources, r.gathering.sources()...)
	}
	sort.Slice(sources, func(i, j int) bool { return sources[i].Name < sources[j].Name })
	return sources
}

// modelFiles are the files that from_pretrained opens.
func (r *run) modelFiles() ([]checkpoint.File, error) {
	end, ok := r.tokenizer.EndToken()
	endToken := int(end)
	if !ok {
		endToken = -1
	}
	files := []checkpoint.File{
		bytesFile("config.json", r.model.ConfigJSON(endToken)),
		bytesFile("generation_config.json", gpt2.GenerationConfigJSON(endToken)),
		{Name: "model.safetensors", Write: func(w io.Writer) (err error) {
			defer protect("reading the weights", &err)
			return safetensors.Write(w, map[string]string{"format": "pt"}, r.model.WeightSources())
		}},
	}
	texts, err := r.tokenizer.Files(r.model.MaxPositionEmbeddings)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	for name, text := range texts {
		files = append(files, bytesFile(name, text))
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return files, nil
}

// checkpointFiles are modelFiles and what a resume needs beside them.
func (r *run) checkpointFiles() ([]checkpoint.File, error) {
	files, err := r.modelFiles()
	if err != nil {
		return nil, err
	}
	settings, err := r.config.JSON()
	if err != nil {
		return nil, err
	}
	state, err := json.MarshalIndent(r.done, "", "  ")
	if err != nil {
		return nil, err
	}
	if r.measured != nil {
		text, err := json.Marshal(r.measured)
		if err != nil {
			return nil, err
		}
		files = append(files, bytesFile(measuredFile, append(text, '\n')))
	}
	return append(files,
		bytesFile("training_config.json", settings),
		bytesFile("training_state.json", append(state, '\n')),
		checkpoint.File{Name: "training_state.safetensors", Write: func(w io.Writer) (err error) {
			defer protect("reading the optimizer's state", &err)
			return safetensors.Write(w, nil, r.stateSources())
		}}), nil
}

func bytesFile(name string, text []byte) checkpoint.File {
	return checkpoint.File{Name: name, Write: func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}}
}

// restore sets weights, optimizer, scaler and position from a verified checkpoint.
func (r *run) restore(c *checkpoint.Checkpoint) (err error) {
	defer protect("checkpoint "+c.Dir, &err)
	var pending pendingLosses
	if pending, err = r.restoreTensors(c); err != nil {
		return fmt.Errorf("checkpoint %s: %w", c.Dir, err)
	}
	text, err := readFile(c, "training_state.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &r.done); err != nil {
		return fmt.Errorf("checkpoint %s: training_state.json: %w", c.Dir, err)
	}
	r.divideAnew(&r.done)
	if r.done.Step != c.Step {
		return fmt.Errorf("checkpoint %s: training_state.json is of step %d", c.Dir, r.done.Step)
	}
	if pending.distilled != (r.distillation != nil) {
		r.settle(pending)
	}
	if r.scaler != nil {
		r.known = known{r.done.Step, int64(r.scaler.skipped.Item())}
	}
	return nil
}

func (r *run) restoreTensors(c *checkpoint.Checkpoint) (pending pendingLosses, err error) {
	if err := withTensors(c, "model.safetensors", r.model.LoadWeights); err != nil {
		return pending, err
	}
	return pending, withTensors(c, "training_state.safetensors", func(f *safetensors.File) error {
		pending = pendingLossesOf(f)
		for name, t := range r.stateTensors() {
			if err := r.restoreTensor(f, name, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// restoreTensor copies one state tensor. A run that was not scaled has no scaler state: it begins anew. One that was not distilled
// has no losses of a teacher.
func (r *run) restoreTensor(f *safetensors.File, name string, t *torch.Tensor) error {
	info, raw, ok := f.Tensor(name)
	switch {
	case !ok && r.scaler != nil && strings.HasPrefix(name, "scaler."), !ok && strings.HasSuffix(name, "_loss_sum"), !ok && strings.HasPrefix(name, "outer_momentum."):
		return nil
	case !ok:
		return fmt.Errorf("%s is missing", name)
	case info.DType != dtypeNames[t.DType()] || fmt.Sprint(info.Shape) != fmt.Sprint(t.Shape()):
		return fmt.Errorf("%s is %s %v, want %s %v", name, info.DType, info.Shape, dtypeNames[t.DType()], t.Shape())
	}
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() { t.Copy_(torch.FromBytes(raw, info.Shape, t.DType(), torch.CPU)) })
	return nil
}

func withTensors(c *checkpoint.Checkpoint, name string, use func(*safetensors.File) error) error {
	m, err := c.Open(name)
	if err != nil {
		return err
	}
	defer m.Close()
	f, err := safetensors.Parse(m.Bytes())
	if err == nil {
		err = use(f)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readFile(c *checkpoint.Checkpoint, name string) ([]byte, error) {
	m, err := c.Open(name)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return append([]byte(nil), m.Bytes()...), nil
}

func loadWeights(m *gpt2.Model, file []byte) error {
	f, err := safetensors.Parse(file)
	if err != nil {
		return err
	}
	return m.LoadWeights(f)
}
