package trainer

// Several processes that train one model. All of them run the same loop on their shares of the same windows. Rank 0 alone has the output
// directory, measures and decides; the others take from it what they need to be in the same state.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/cluster"
	"frugal/trainer/config"
	"frugal/trainer/monitor"
)

// MismatchError says that the processes cannot train together.
type MismatchError = cluster.MismatchError

// LostError says that another process is gone, or cannot go on.
type LostError = cluster.LostError

func (r *run) processes() int {
	if r.Place == nil {
		return 1
	}
	return r.Place.Size
}

func (r *run) rank() int {
	if r.Place == nil {
		return 0
	}
	return r.Place.Rank
}

// leads says whether this process is the one that has the output directory.
func (r *run) leads() bool { return r.rank() == 0 }

// perUpdate is the number of rows that an update sees.
func (r *run) perUpdate() int { return r.config.EffectiveBatchSize() * r.processes() }

// join meets the others, where there are any, and finds out whether all were told the same.
func (r *run) join(ctx context.Context) (err error) {
	if r.Place == nil {
		return nil
	}
	if r.attempt = r.Place.Attempt; r.Place.Size == 1 {
		return nil
	}
	say := func(format string, a ...any) {
		if r.Place.LocalRank == 0 {
			fmt.Fprintf(r.Stderr, rankPrefix(r.rank())+format+"\n", a...)
		}
	}
	lost := func(e *LostError) {
		r.saving.Lock()
		r.Lost(e)
	}
	if r.world, err = cluster.Join(ctx, cluster.Options{Place: r.Place, Log: say, Lost: lost, Gone: r.Gone}); err != nil {
		if s := r.interrupted(); s != nil { // it cancels ctx
			return s
		}
		return err
	}
	r.attempt = r.world.Attempt
	return r.compareSettings()
}

// rankPrefix begins what a process other than the first says.
func rankPrefix(rank int) string {
	if rank == 0 {
		return ""
	}
	return fmt.Sprintf("rank %d: ", rank)
}

// joinCards finds out how what is on the processes' cards is to get from one to the other.
func (r *run) joinCards() error {
	if r.world == nil {
		return nil
	}
	said, err := r.world.JoinCards(r.device)
	if said != "" {
		r.infof("cards: %s", said)
	}
	return err
}

// part leaves the others, who learn why if it is not the end.
func (r *run) part(err error) {
	switch {
	case r.world == nil:
	case err == nil:
		r.world.Close()
	default:
		r.world.Fail(err)
	}
}

// settings are what all processes must have in common.
type settings struct {
	Version string         `json:"version"`
	Torch   string         `json:"libtorch"`
	Config  map[string]any `json:"config"`
}

// ownKeys may differ from process to process: where things lie, what is shown, what suits a machine.
var ownKeys = []string{"output_dir", "logging_dir", "model_name", "resume", "device", "threads", "init_from", "preset", "monitoring.tensorboard", "monitoring.progress",
	"monitoring.histogram_steps", "monitoring.prompts", "monitoring.max_length", "monitoring.num_return_sequences", "monitoring.top_p", "monitoring.top_k",
	"monitoring.temperature", "monitoring.listen", "data.train", "data.eval",
	"data.cache_dir", "tokenizer.path", "distillation.teacher", "distillation.cache", "curriculum.model"}

func (r *run) compareSettings() error {
	text, err := r.config.JSON()
	if err != nil {
		return err
	}
	own := settings{Version: r.Version, Torch: torch.Version}
	if err := json.Unmarshal(text, &own.Config); err != nil {
		return err
	}
	if text, err = json.Marshal(own); err != nil {
		return err
	}
	all, err := r.world.AllGather("settings", text)
	if err != nil {
		return err
	}
	parsed := make([]settings, len(all))
	for rank, text := range all {
		if err := json.Unmarshal(text, &parsed[rank]); err != nil {
			return &MismatchError{What: fmt.Sprintf("rank %d on %s is another program: %v", rank, r.world.Host(rank), err)}
		}
		if what := parsed[rank].differ(parsed[0]); what != "" {
			return &MismatchError{What: fmt.Sprintf("rank %d on %s has another configuration than rank 0 on %s: %s", rank, r.world.Host(rank), r.world.Host(0), what)}
		}
	}
	return nil
}

// differ lists what is another than rank 0's.
func (s settings) differ(first settings) string {
	var list []string
	for _, v := range [][3]string{{"frugal", first.Version, s.Version}, {"libtorch", first.Torch, s.Torch}} {
		if v[1] != v[2] {
			list = append(list, fmt.Sprintf("%s %s, rank 0's is %s", v[0], v[2], v[1]))
		}
	}
	for _, d := range differences("", first.Config, s.Config) {
		key, values, _ := strings.Cut(d, ": ")
		if !slices.ContainsFunc(ownKeys, func(own string) bool { return key == own || strings.HasPrefix(key, own+".") }) {
			was, is, _ := strings.Cut(values, " → ")
			list = append(list, fmt.Sprintf("%s %s, rank 0's is %s", key, is, was))
		}
	}
	return strings.Join(list, "; ")
}

// compareFingerprints refuses processes that have read other texts.
func (r *run) compareFingerprints() error {
	if r.world == nil {
		return nil
	}
	text, err := json.Marshal(r.fingerprints())
	if err != nil {
		return err
	}
	all, err := r.world.AllGather("fingerprints", text)
	if err != nil {
		return err
	}
	prints := make([]map[string]string, len(all))
	for rank, text := range all {
		if err := json.Unmarshal(text, &prints[rank]); err != nil {
			return err
		}
		for _, what := range []string{"architecture", "tokenizer", "data", "teacher"} {
			if prints[rank][what] != prints[0][what] {
				return &MismatchError{What: fmt.Sprintf("rank %d on %s: its %s is another than that of rank 0 on %s (%s)", rank, r.world.Host(rank),
					strings.ReplaceAll(what, "_", "'s "), r.world.Host(0), whatDiffers[what])}
			}
		}
	}
	return nil
}

// fromFirst makes value, a pointer, point to what it does at rank 0.
func (r *run) fromFirst(value any) (err error) {
	if r.world == nil {
		return nil
	}
	var text []byte
	if r.leads() {
		if text, err = json.Marshal(value); err != nil {
			return err
		}
	}
	if text, err = r.world.BroadcastBytes(text); err != nil || r.leads() {
		return err
	}
	return json.Unmarshal(text, value)
}

// openOther is openOutput for who has no output: what one machine alone may have to warn of is shown.
func (r *run) openOther() (err error) {
	if r.console, err = monitor.NewConsole(io.Discard, "off"); err != nil {
		return err
	}
	var shown io.Writer = io.Discard
	if r.world.LocalRank == 0 {
		shown = prefixed{r.Stderr, rankPrefix(r.rank())}
	}
	r.logger = monitor.SetupLog(shown, nil)
	r.logger.SetLevel(logrus.WarnLevel)
	r.progressBar = monitor.NewProgress(r.console, r.logger)
	r.onClose(func() { r.progressBar.Close() })
	return nil
}

// prefixed begins whatever is written, lines, with a prefix.
type prefixed struct {
	w      io.Writer
	prefix string
}

func (p prefixed) Write(text []byte) (int, error) {
	if len(text) == 0 { // of what only the log file is told
		return 0, nil
	}
	if _, err := p.w.Write(append([]byte(p.prefix), text...)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// shareCheckpoint gives everybody the checkpoint that rank 0 has found, without its tensors.
func (r *run) shareCheckpoint() error {
	if r.world == nil {
		return nil
	}
	var found struct {
		Dir      string
		Manifest *checkpoint.Manifest
		Files    map[string][]byte
	}
	if r.leads() && r.from != nil {
		found.Dir, found.Manifest, found.Files = r.from.Dir, &r.from.Manifest, map[string][]byte{}
		for name := range r.from.Manifest.Files {
			if filepath.Ext(name) == ".safetensors" {
				continue
			}
			text, err := readFile(r.from, name)
			if err != nil {
				return err
			}
			found.Files[name] = text
		}
	}
	if err := r.fromFirst(&found); err != nil || r.leads() || found.Manifest == nil {
		return err
	}
	var err error
	r.from, err = checkpoint.InMemory(found.Dir, *found.Manifest, found.Files)
	return err
}

// keepEffectiveBatch: a run that goes on with another number of processes goes on with as many rows an update, however often it does.
func (r *run) keepEffectiveBatch() error {
	if r.from == nil {
		return nil
	}
	done := r.savedProgress()
	began, was, now := max(1, done.Began), max(1, done.Processes), r.processes()
	if was == now && began == now {
		return nil
	}
	var saved struct {
		BatchSize    int `json:"batch_size"`
		Accumulation int `json:"gradient_accumulation_steps"`
	}
	if text, err := readFile(r.from, "training_config.json"); err != nil || json.Unmarshal(text, &saved) != nil || saved.BatchSize*saved.Accumulation == 0 {
		return nil // which restore will say
	}
	c, rows := r.config, saved.BatchSize*saved.Accumulation*was
	if rows%(c.BatchSize*now) != 0 {
		return r.problem("batch_size", fmt.Sprint(c.BatchSize), fmt.Sprintf("an update of the run in %s sees %d rows, which %d processes cannot share by %d", r.from.Dir, rows, now, c.BatchSize))
	}
	c.GradientAccumulationSteps = rows / (c.BatchSize * now)
	if was != now {
		r.infof("resume: number of processes %d before, %d now; with gradient_accumulation_steps %d an update sees %d rows as before", was, now,
			c.GradientAccumulationSteps, rows)
	}
	return nil
}

// fitted are the keys that a memory budget decides.
type fittedKeys struct {
	BatchSize, Accumulation int
	Checkpointing           bool
	Offload                 config.Offload
	Attention               string
	Budget                  int64
}

// shareFit has all take what rank 0 chose to fit its memory.
func (r *run) shareFit() error {
	c := r.config
	k := fittedKeys{c.BatchSize, c.GradientAccumulationSteps, c.GradientCheckpointing, c.CPUOffload, c.Attention, r.budget}
	if err := r.fromFirst(&k); err != nil {
		return err
	}
	c.BatchSize, c.GradientAccumulationSteps, c.GradientCheckpointing, c.CPUOffload, c.Attention, r.budget = k.BatchSize, k.Accumulation, k.Checkpointing, k.Offload, k.Attention, k.Budget
	if r.budget == 0 {
		return nil
	}
	return r.data.SetBatch(c.BatchSize, c.GradientAccumulationSteps*r.processes())
}

// agreedSignals are those that end a run.
var agreedSignals = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM}

// agree replaces numbers by their sums over all processes. With them all learn of a signal that one has received, and whether one lacks
// memory.
func (r *run) agree(numbers []float64, lacks bool) (oneLacks bool, err error) {
	r.receive()
	if r.world == nil {
		r.signal = r.received
		return lacks, nil
	}
	all := slices.Clone(numbers)
	flag := func(is bool) {
		x := 0.0
		if is {
			x = 1
		}
		all = append(all, x)
	}
	flag(lacks)
	for _, s := range agreedSignals {
		flag(r.received == s)
	}
	if err := r.world.AllReduceNumbers(all); err != nil {
		return false, err
	}
	n := copy(numbers, all)
	for i, s := range agreedSignals {
		if all[n+1+i] > 0 {
			r.signal = s
		}
	}
	return all[n] > 0, nil
}

// receive looks for a signal that this process has got.
func (r *run) receive() {
	select {
	case r.received = <-r.signals:
	default:
	}
}

// errOtherLacks stands for the memory that another process lacks.
func errOtherLacks() error {
	return &torch.Error{Kind: torch.OutOfMemory, Message: "another process is out of memory"}
}

// shareState brings everybody to where rank 0 stands when it begins. complete: there is nothing left to do.
func (r *run) shareState(complete *bool) (err error) {
	defer protect("sharing the state", &err)
	if r.world == nil {
		return nil
	}
	s := struct {
		Complete      bool
		ID, Saved     string
		Done          progress
		Step, Skipped int64
	}{Complete: *complete, ID: r.id, Saved: r.saved, Done: r.done, Step: r.known.step, Skipped: r.known.skipped}
	if err := r.fromFirst(&s); err != nil {
		return err
	}
	if *complete, r.id, r.saved = s.Complete, s.ID, s.Saved; s.Complete {
		return nil
	}
	if !r.leads() {
		r.done, r.known = s.Done, known{s.Step, s.Skipped}
		if err := r.chooseKernels(); err != nil {
			return err
		}
	}
	return r.sendTensors()
}

// sendTensors gives everybody rank 0's weights and all that a checkpoint has beside them.
func (r *run) sendTensors() error {
	if err := r.world.Broadcast(r.model.Weights()).Wait(); err != nil {
		return err
	}
	r.model.Changed()
	tensors := r.optimizer.small()
	if s := r.optimizer.shard; s == nil {
		tensors = append(tensors, r.optimizer.expAvg, r.optimizer.expAvgSq)
	} else if r.from != nil {
		if err := r.handOutMoments(); err != nil {
			return err
		}
	}
	tensors = append(tensors, r.lossSum)
	if d := r.distillation; d != nil {
		tensors = append(tensors, d.task, d.sum)
	}
	if s := r.scaler; s != nil {
		tensors = append(tensors, s.scale, s.growth, s.skipped, s.lost)
	}
	if r.outer != nil {
		tensors = append(tensors, r.outer.momentum)
	}
	for _, t := range tensors {
		if err := r.world.Broadcast(t).Wait(); err != nil {
			return err
		}
	}
	r.leaveLosses()
	if r.outer != nil {
		r.outer.begin(r.model.Weights())
	}
	return nil
}

// shareSaved has all learn where rank 0 has saved, or that it has not.
func (r *run) shareSaved(failed error) error {
	if r.world == nil {
		return failed
	}
	said := struct{ Dir, Why string }{Dir: r.saved}
	if failed != nil {
		said.Why = failed.Error()
	}
	err := r.fromFirst(&said)
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case said.Why != "":
		return &OutputError{errors.New("rank 0: " + said.Why)}
	}
	r.saved = said.Dir
	return nil
}

// level has all processes go on with rank 0's weights and moments, which a checkpoint is about to hold. On machines of one kind they are
// the same to the bit; processors of different kinds round differently.
func (r *run) level() (err error) {
	defer protect("comparing the weights", &err)
	if r.world == nil {
		return nil
	}
	scope := torch.OpenScope()
	defer scope.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := r.model.Weights().WriteTo(sum); err != nil {
		return err
	}
	sums := make([]float64, r.processes()) // exact: of 32 bits
	sums[r.rank()] = float64(sum.Sum32())
	if err := r.world.AllReduceNumbers(sums); err != nil {
		return err
	}
	if !slices.ContainsFunc(sums, func(x float64) bool { return x != sums[0] }) {
		return nil
	}
	if !r.saidUneven {
		r.saidUneven = true
		r.infof("the processes' machines round differently: at every save all take rank 0's weights")
	}
	tensors := []*torch.Tensor{r.model.Weights()}
	if r.optimizer.shard == nil {
		tensors = append(tensors, r.optimizer.expAvg, r.optimizer.expAvgSq)
	}
	for _, t := range tensors {
		if err := r.world.Broadcast(t).Wait(); err != nil {
			return err
		}
	}
	r.model.Changed()
	return nil
}
