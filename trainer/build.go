package trainer

// The one place where the configuration is taken apart: each part is given the small options of its own.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"frugal/corpus"
	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/config"
	"frugal/trainer/data"
	"frugal/trainer/gpt2"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
	"frugal/trainer/tokenizer"
)

// build makes everything but the weights, saying what it chose and why. find says which checkpoint the run goes on from.
func (r *run) build(ctx context.Context, find func() (*checkpoint.Checkpoint, error)) error {
	r.infof("frugal %s, libtorch %s", r.Version, torch.Version)
	for _, c := range r.Choices {
		r.infof("%s", c)
	}
	for _, part := range []func() error{
		r.buildDevice,
		r.joinCards,
		func() (err error) {
			if r.leads() {
				r.from, err = find()
			}
			return err
		},
		r.shareCheckpoint,
		r.keepEffectiveBatch,
		r.buildPrecision,
		r.takeArchitecture,
		func() error { return r.buildTokenizer(ctx) },
		r.buildPrompts,
		r.findTeacherFirst,
		func() error { return r.buildData(ctx) },
		r.findTeacherLast,
		r.lookForTeacherCache,
		r.fitMemory,
		r.shareFit,
		r.saySteps,
		func() error { return r.buildCurriculum(ctx) },
		func() error { return r.buildTeacher(ctx.Err) },
		r.buildModel,
		r.sayTeacher,
		r.buildHistograms,
	} {
		err := part()
		if s := r.interrupted(); s != nil { // it cancels ctx, so err is hardly more than that
			return s
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// problem is a configuration error at the place where the key was set.
func (r *run) problem(key, value, message string) error {
	at := r.config.Origin(key)
	return &config.Error{Problems: []config.Problem{{File: at.Where, Line: at.Line, Key: key, Value: value, Message: message}}}
}

// takeArchitecture lets init_from's config.json decide the architecture. A run that goes on needs nothing else from there, and
// where the directory is gone the checkpoint's own config.json and tokenizer.json say the same.
func (r *run) takeArchitecture() error {
	r.source, r.sourceFS = r.config.InitFrom, r.fs
	if r.source == "" {
		return nil
	}
	if _, err := r.fs.Stat(r.source); errors.Is(err, fs.ErrNotExist) && r.from != nil {
		r.infof("init_from: %s is gone; architecture and tokenizer are the checkpoint's", r.source)
		r.source, r.sourceFS = r.from.Dir, r.from.FS()
	}
	path := filepath.Join(r.source, "config.json")
	text, err := vfs.ReadFile(r.sourceFS, path)
	if err != nil {
		return r.problem("init_from", r.source, "want a Hugging Face GPT-2 directory: "+err.Error())
	}
	if r.architecture, err = gpt2.ParseConfig(text); err != nil {
		return r.problem("init_from", path, err.Error())
	}
	a := r.architecture
	return r.config.SetArchitecture(config.Architecture{VocabSize: a.VocabSize, HiddenSize: a.HiddenSize, NumLayers: a.NumLayers,
		NumHeads: a.NumHeads, IntermediateSize: a.IntermediateSize, MaxPositionEmbeddings: a.MaxPositionEmbeddings}, path)
}

func (r *run) buildData(ctx context.Context) (err error) {
	c := r.config
	end, _ := r.tokenizer.EndToken()
	var embedded fs.FS = corpus.PT
	o := data.Options{
		FS: r.fs, Train: c.Data.Train, Eval: c.Data.Eval, Embedded: embedded, EvalFraction: c.Data.EvalFraction, TextField: c.Data.TextField,
		Packing: c.Data.Packing, CacheDir: r.cacheDir(), Encoder: r.tokenizer, EndToken: end, VocabSize: c.VocabSize,
		Positions: c.MaxPositionEmbeddings, BatchSize: c.BatchSize, Accumulation: c.GradientAccumulationSteps * r.processes(), Seed: c.Seed,
		Workers: runtime.NumCPU(), Log: r.dataLog, Progress: r.progressBar.Report,
	}
	r.stageOptions(ctx, &o)
	if r.data, err = data.Open(ctx, o); err != nil {
		return r.tooManyBuckets(err)
	}
	r.onClose(func() { r.data.Close() })
	r.countSteps()
	r.sayData()
	return nil
}

// dataLog keeps data's warnings warnings.
func (r *run) dataLog(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if warning, ok := strings.CutPrefix(text, "warning: "); ok {
		r.logger.Warn(warning)
	} else {
		r.logger.Info(text)
	}
}

func (r *run) sayData() {
	n := monitor.FormatCount
	train, eval := r.data.Train(), r.data.Eval()
	r.infof("data: %s documents, %s tokens in %s rows to train on; %s tokens in %s rows to evaluate", n(train.Documents), n(train.Tokens), n(train.Rows),
		n(eval.Tokens), n(eval.Rows))
	if c := r.config; r.data.Eval().Rows == 0 && c.EvalSteps > 0 && c.Data.EvalFraction == 0 { // data says the other reasons
		r.logger.Warn("data: there is nothing to evaluate; set data.eval or data.eval_fraction, or eval_steps to 0")
	}
}

// countSteps is how long the run is.
func (r *run) countSteps() {
	r.totalSteps = int64(r.config.MaxSteps)
	if r.totalSteps == 0 {
		r.totalSteps = int64(r.config.NumEpochs) * int64(r.data.WindowsPerEpoch())
	}
}

func (r *run) saySteps() error {
	c, n, how := r.config, monitor.FormatCount, "max_steps"
	if c.MaxSteps == 0 {
		how = fmt.Sprintf("%d epochs", c.NumEpochs)
	}
	division := fmt.Sprintf("batch_size %d × gradient_accumulation_steps %d", c.BatchSize, c.GradientAccumulationSteps)
	if r.processes() > 1 {
		division += fmt.Sprintf(" × %d processes", r.processes())
	}
	r.infof("steps: %s (%s); an epoch is %s steps; an update sees %d rows (%s), up to %s tokens", n(r.totalSteps), how, n(int64(r.data.WindowsPerEpoch())), r.perUpdate(),
		division, n(int64(r.perUpdate())*int64(c.MaxPositionEmbeddings)))
	return nil
}

// cacheDir is where token files and trained tokenizers are kept: data.cache_dir, or the user's cache directory, or, where
// there is none, the output directory.
func (r *run) cacheDir() string {
	if r.scratch != "" {
		return r.scratch
	}
	if d := r.config.Data.CacheDir; d != "" {
		return d
	}
	base, err := os.UserCacheDir()
	if err == nil && (unix.Access(base, unix.W_OK) == nil || r.fs.MkdirAll(base, 0o777) == nil) {
		return filepath.Join(base, "frugal")
	}
	return filepath.Join(r.config.OutputDir, "cache")
}

func (r *run) buildModel() (err error) {
	defer protect("making the model", &err)
	c, m := r.config, r.modelConfig()
	if err := r.checkHostMemory(c.CPUOffload, m); err != nil {
		return err
	}
	if offloads[c.CPUOffload] != gpt2.NoOffload {
		r.infof("cpu_offload %s: %s in the host's memory", c.CPUOffload, monitor.FormatBytes(hostBytes(m, r.precision)))
	}
	r.model = gpt2.NewOffloaded(m, r.device, offloads[c.CPUOffload])
	r.onClose(r.model.Free)
	r.model.HeadRows = int(headRows(c, m, int64(c.BatchSize)))
	var s *shard
	if r.processes() > 1 && c.ShardOptimizer {
		s = newShard(r.world, r.rank(), r.processes(), r.model.BufferLength())
	}
	r.optimizer = newOptimizer(c, r.model, s)
	r.onClose(r.optimizer.free)
	if r.processes() > 1 && c.LocalSteps > 0 {
		r.outer = newOuter(r.model)
		r.onClose(r.outer.free)
	}
	if r.needsReduceBuffer() {
		r.makeReduceBuffer()
	}
	r.lossSum = torch.Zeros(nil, torch.Float64, r.device).Detached()
	r.onClose(r.lossSum.Free)
	if r.precision == torch.Float16 {
		r.scaler = newLossScaler(r.model.Home(), r.device)
		r.onClose(r.scaler.free)
	}
	r.schedule = Schedule{Kind: c.LRSchedule, Rate: c.LearningRate, MinRatio: c.MinLRRatio, Warmup: int64(c.WarmupSteps), Total: r.totalSteps}
	r.infof("model: %s parameters, num_layers %d, hidden_size %d, num_heads %d, vocab_size %s, max_position_embeddings %s", monitor.FormatCount(m.NumParameters()), m.NumLayers,
		m.HiddenSize, m.NumHeads, monitor.FormatCount(int64(m.VocabSize)), monitor.FormatCount(int64(m.MaxPositionEmbeddings)))
	return nil
}

// initialise sets the weights of a fresh run: drawn from the seed, or init_from's.
func (r *run) initialise() (err error) {
	defer protect("initialising the weights", &err)
	if r.config.InitFrom == "" {
		r.model.Init(r.config.Seed)
		return nil
	}
	path := filepath.Join(r.config.InitFrom, "model.safetensors")
	m, err := r.fs.Map(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r.problem("init_from", path, "no such file"+otherWeights(r.fs, r.config.InitFrom))
	}
	if err != nil {
		return r.problem("init_from", r.config.InitFrom, err.Error())
	}
	defer m.Close()
	if err := loadWeights(r.model, m.Bytes()); err != nil {
		return r.problem("init_from", path, err.Error())
	}
	r.infof("weights: from %s", path)
	return nil
}

// otherWeights says what a model's directory holds in the place of model.safetensors.
func otherWeights(fsys vfs.FS, dir string) string {
	for _, other := range []struct{ file, advice string }{
		{"model.safetensors.index.json", "the weights are in several files; save_pretrained(…, max_shard_size=\"100GB\") writes one"},
		{"pytorch_model.bin", "its weights are a pickle, which is not read; save_pretrained of today's transformers writes model.safetensors"},
	} {
		if _, err := fsys.Stat(filepath.Join(dir, other.file)); err == nil {
			return "; " + other.advice
		}
	}
	return ""
}

// fingerprints are of what a resume must find unchanged.
func (r *run) fingerprints() map[string]string {
	h := sha256.New()
	m := r.model.Config
	fmt.Fprintf(h, "gpt2 %d %d %d %d %d %d %v %v", m.VocabSize, m.HiddenSize, m.NumLayers, m.NumHeads, m.IntermediateSize, m.MaxPositionEmbeddings,
		m.LayerNormEpsilon, m.ExactGELU)
	prints := map[string]string{"architecture": hex.EncodeToString(h.Sum(nil)), "tokenizer": r.tokenizer.Fingerprint(), "data": r.dataFingerprint()}
	if r.distillation != nil {
		prints["teacher"] = r.distillation.fingerprint
		if c := r.distillation.cache; c != nil {
			prints["teacher_cache"] = c.Fingerprint()
		}
	}
	return prints
}

// The tokenizer offers everything that data asks of an encoder: cuts that change no id, the sizes that bits per byte need, and texts.
var (
	_ data.Encoder      = (*tokenizer.Tokenizer)(nil)
	_ data.Fallible     = (*tokenizer.Tokenizer)(nil)
	_ data.SafeSplitter = (*tokenizer.Tokenizer)(nil)
	_ data.TokenSizer   = (*tokenizer.Tokenizer)(nil)
	_ data.Decoder      = (*tokenizer.Tokenizer)(nil)
)
