// Package config loads, checks and prints a training's configuration: one TrainingConfig from defaults, a preset, a YAML,
// JSON or TOML file, the environment and the command line, with every problem reported at once.
package config

// TrainingConfig holds every setting of a training run. The top-level names are those of the original TrainingConfig, so
// that its JSON loads as it is. docs/configuration.md says what each key does; keys.go holds defaults and limits.
type TrainingConfig struct {
	VocabSize             int     `mapstructure:"vocab_size"` // 0: the tokenizer's
	HiddenSize            int     `mapstructure:"hidden_size"`
	NumLayers             int     `mapstructure:"num_layers"`
	NumHeads              int     `mapstructure:"num_heads"`
	IntermediateSize      int     `mapstructure:"intermediate_size"`
	MaxPositionEmbeddings int     `mapstructure:"max_position_embeddings"`
	Dropout               float64 `mapstructure:"dropout"`

	BatchSize                 int     `mapstructure:"batch_size"`
	GradientAccumulationSteps int     `mapstructure:"gradient_accumulation_steps"`
	LearningRate              float64 `mapstructure:"learning_rate"`
	WeightDecay               float64 `mapstructure:"weight_decay"`
	AdamBeta1                 float64 `mapstructure:"adam_beta1"`
	AdamBeta2                 float64 `mapstructure:"adam_beta2"`
	AdamEpsilon               float64 `mapstructure:"adam_epsilon"`
	MaxGradNorm               float64 `mapstructure:"max_grad_norm"` // 0: no clipping
	LRSchedule                string  `mapstructure:"lr_schedule"`
	MinLRRatio                float64 `mapstructure:"min_lr_ratio"`
	NumEpochs                 int     `mapstructure:"num_epochs"`
	MaxSteps                  int     `mapstructure:"max_steps"` // 0: num_epochs decides
	WarmupSteps               int     `mapstructure:"warmup_steps"`

	FP16                  bool    `mapstructure:"fp16"`
	Precision             string  `mapstructure:"precision"` // wins over fp16; see ResolvePrecision
	GradientCheckpointing bool    `mapstructure:"gradient_checkpointing"`
	Linear                string  `mapstructure:"linear"`    // auto, onednn or blas
	Attention             string  `mapstructure:"attention"` // auto, flash or composed
	CPUOffload            Offload `mapstructure:"cpu_offload"`
	MemoryBudgetGB        float64 `mapstructure:"memory_budget_gb"` // 0: none

	EvalSteps      int    `mapstructure:"eval_steps"` // 0: never
	SaveSteps      int    `mapstructure:"save_steps"` // 0: never
	LoggingSteps   int    `mapstructure:"logging_steps"`
	MaxCheckpoints int    `mapstructure:"max_checkpoints"`
	OutputDir      string `mapstructure:"output_dir"`
	LoggingDir     string `mapstructure:"logging_dir"`
	ModelName      string `mapstructure:"model_name"`

	Seed     uint64 `mapstructure:"seed"`
	Device   string `mapstructure:"device"`
	Threads  int    `mapstructure:"threads"` // 0: libtorch's choice
	InitFrom string `mapstructure:"init_from"`
	Resume   string `mapstructure:"resume"`
	Preset   string `mapstructure:"preset"`

	ReducePrecision string `mapstructure:"reduce_precision"`
	ShardOptimizer  bool   `mapstructure:"shard_optimizer"`
	LocalSteps      int    `mapstructure:"local_steps"` // 0: every update is synchronised

	OuterLearningRate float64 `mapstructure:"outer_learning_rate"`
	OuterMomentum     float64 `mapstructure:"outer_momentum"`

	Data         DataConfig         `mapstructure:"data"`
	Tokenizer    TokenizerConfig    `mapstructure:"tokenizer"`
	Curriculum   CurriculumConfig   `mapstructure:"curriculum"`
	Distillation DistillationConfig `mapstructure:"distillation"`
	Monitoring   MonitoringConfig   `mapstructure:"monitoring"`

	origins map[string]Origin // by dotted key; a missing key has its default
}

// DataConfig says what is trained on. An empty Train means the embedded Portuguese corpus.
type DataConfig struct {
	Train        []string `mapstructure:"train"` // globs, relative to the working directory
	Eval         []string `mapstructure:"eval"`
	EvalFraction float64  `mapstructure:"eval_fraction"` // holds only where Eval is empty
	TextField    string   `mapstructure:"text_field"`
	Packing      bool     `mapstructure:"packing"`
	CacheDir     string   `mapstructure:"cache_dir"`
}

// TokenizerConfig chooses the tokenizer: Path, a tokenizer.json, wins over Type.
type TokenizerConfig struct {
	Type      string `mapstructure:"type"`
	Path      string `mapstructure:"path"`
	VocabSize int    `mapstructure:"vocab_size"` // of a bpe trained on the corpus
}

// CurriculumConfig orders the data by difficulty.
type CurriculumConfig struct {
	Enabled    bool          `mapstructure:"enabled"`
	Schedule   string        `mapstructure:"schedule"`
	Difficulty string        `mapstructure:"difficulty"`  // given: the stages' own numbers; auto: measured
	Measure    string        `mapstructure:"measure"`     // what auto measures
	Model      string        `mapstructure:"model"`       // that measures with
	Buckets    int           `mapstructure:"buckets"`     // stages to make of the corpus; 0: they are given
	TotalSteps int           `mapstructure:"total_steps"` // 0: the run's
	Stages     []StageConfig `mapstructure:"stages"`
	Points     []PointConfig `mapstructure:"points"` // of the piecewise schedule
}

// StageConfig is one stage of a curriculum. Difficulty 0 means that none was given.
type StageConfig struct {
	Name       string   `mapstructure:"name" yaml:"name" json:"name"`
	Data       []string `mapstructure:"data" yaml:"data" json:"data"`
	Difficulty float64  `mapstructure:"difficulty" yaml:"difficulty,omitempty" json:"difficulty,omitempty"`
}

// PointConfig fixes the stages' weights, in the stages' order, at a step of the piecewise schedule.
type PointConfig struct {
	Step    int       `mapstructure:"step" yaml:"step" json:"step"`
	Weights []float64 `mapstructure:"weights" yaml:"weights" json:"weights"`
}

// DistillationConfig sets up a teacher.
type DistillationConfig struct {
	Enabled     bool    `mapstructure:"enabled"`
	Teacher     string  `mapstructure:"teacher"`
	Temperature float64 `mapstructure:"temperature"`
	Alpha       float64 `mapstructure:"alpha"`
	Cache       string  `mapstructure:"cache"`       // a directory for the teacher's answers; "": none are kept
	CacheTopK   int     `mapstructure:"cache_top_k"` // log-probabilities kept a position
}

// MonitoringConfig says what is shown and recorded while training.
type MonitoringConfig struct {
	TensorBoard        bool     `mapstructure:"tensorboard"`
	Progress           string   `mapstructure:"progress"`
	HistogramSteps     int      `mapstructure:"histogram_steps"` // 0: never
	SampleSteps        int      `mapstructure:"sample_steps"`    // 0: never
	Prompts            []string `mapstructure:"prompts"`
	MaxLength          int      `mapstructure:"max_length"`
	NumReturnSequences int      `mapstructure:"num_return_sequences"`
	TopP               float64  `mapstructure:"top_p"`
	TopK               int      `mapstructure:"top_k"` // 0: off
	Temperature        float64  `mapstructure:"temperature"`
	Listen             string   `mapstructure:"listen"` // host:port of the live page; "": none
}

// Offload is what leaves the device's memory for the host's.
type Offload string

// The values of cpu_offload.
const (
	OffloadOff       Offload = "false"
	OffloadOptimizer Offload = "true" // master weights and optimizer moments
	OffloadFull      Offload = "full" // the blocks' weights as well
)

// EffectiveBatchSize is the number of rows that one update sees.
func (c *TrainingConfig) EffectiveBatchSize() int { return c.BatchSize * c.GradientAccumulationSteps }

// Default is the configuration that no file, variable or flag has touched.
func Default() *TrainingConfig {
	c, _, err := Load(LoadOptions{})
	if err != nil {
		panic("config: the defaults are not valid: " + err.Error()) // a mistake in keys.go, which any test shows
	}
	return c
}
