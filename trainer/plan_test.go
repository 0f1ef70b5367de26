package trainer

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/data"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
)

// planCase is a configuration whose step is measured.
type planCase struct {
	precision                    string
	checkpointing                bool
	attention                    string
	dropout                      float64
	rows, length                 int
	hidden, layers, heads, vocab int
	accumulation                 int
	distilled                    string // "", "exact" or "cached"
	offload                      string // of every third: true, full
}

func (c planCase) String() string {
	return fmt.Sprintf("%s checkpointing %v %s dropout %v %d×%d hidden %d layers %d vocab %d accumulation %d offload %s %s", c.precision, c.checkpointing, c.attention,
		c.dropout, c.rows, c.length, c.hidden, c.layers, c.vocab, c.accumulation, c.offload, c.distilled)
}

// planCases go through precision, checkpointing and attention with models of several shapes; every fifth has a teacher, every other
// fifth a teacher's cache.
func planCases() (cases []planCase) {
	sizes := []planCase{
		{rows: 1, length: 256, hidden: 128, layers: 3, heads: 4, vocab: 8192},
		{rows: 4, length: 64, hidden: 256, layers: 2, heads: 4, vocab: 257},
		{rows: 4, length: 256, hidden: 64, layers: 4, heads: 2, vocab: 1000},
	}
	for _, precision := range []string{"fp32", "bf16"} {
		for _, checkpointing := range []bool{false, true} {
			for _, attention := range []planCase{{attention: "flash"}, {attention: "composed"}, {attention: "composed", dropout: 0.1}} {
				for _, c := range sizes {
					c.precision, c.checkpointing, c.attention, c.dropout = precision, checkpointing, attention.attention, attention.dropout
					c.accumulation = 1 + len(cases)%2
					c.offload = []string{"false", "false", "true", "false", "false", "full", "false"}[len(cases)%7]
					c.distilled = []string{"", "", "", "exact", "cached"}[len(cases)%5]
					cases = append(cases, c)
				}
			}
		}
	}
	return cases
}

func (c planCase) settings() []string {
	return []string{"precision=" + c.precision, fmt.Sprint("gradient_checkpointing=", c.checkpointing), "attention=" + c.attention,
		fmt.Sprint("dropout=", c.dropout), fmt.Sprint("batch_size=", c.rows), fmt.Sprint("max_position_embeddings=", c.length),
		fmt.Sprint("hidden_size=", c.hidden), fmt.Sprint("intermediate_size=", 4*c.hidden), fmt.Sprint("num_layers=", c.layers),
		fmt.Sprint("num_heads=", c.heads), fmt.Sprint("vocab_size=", c.vocab), fmt.Sprint("gradient_accumulation_steps=", c.accumulation), "cpu_offload=" + c.offload}
}

// shortened skips what counts memory over many configurations, which no collector changes, where a short run is asked for.
func shortened(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the configurations are gone through without -short")
	}
}

// TestThePlanIsWhatAStepTakes holds the plan against the peak that is counted in real steps, and its parts against what is counted by
// kind. What a teacher has in a batch is counted as the head's, its weights as weights.
func TestThePlanIsWhatAStepTakes(t *testing.T) {
	shortened(t)
	teachers := map[int]string{}
	for _, c := range planCases() {
		if c.distilled != "" && teachers[c.vocab] == "" {
			teachers[c.vocab] = teacherOf(t, fmt.Sprint("vocab_size=", c.vocab), "hidden_size=96", "intermediate_size=384", "num_layers=3",
				"max_position_embeddings=256", "max_steps=1")
		}
		t.Run(c.String(), func(t *testing.T) {
			dir, settings := t.TempDir(), c.settings()
			if c.distilled != "" {
				settings = append(settings, distilled(teachers[c.vocab])...)
			}
			if c.distilled == "cached" {
				settings = append(settings, "distillation.cache="+filepath.Join(dir, "answers"), "distillation.cache_top_k=8")
			}
			inRun(t, smallRun(t, dir, settings...), func(r *run) { checkPlan(t, r) })
		})
	}
}

// The peak of a step whose teacher is much larger than the student lies in the teacher's pass forward.
func TestThePlanSeesATeachersPass(t *testing.T) {
	teacher := teacherOf(t, "hidden_size=256", "num_heads=4", "intermediate_size=1024", "num_layers=2", "max_position_embeddings=256", "max_steps=1")
	for _, precision := range []string{"fp32", "bf16"} {
		c := planCase{precision: precision, checkpointing: true, attention: "flash", rows: 4, length: 256, hidden: 64, layers: 2, heads: 2, vocab: 257,
			accumulation: 1, offload: "false", distilled: "exact"}
		t.Run(precision, func(t *testing.T) {
			inRun(t, smallRun(t, t.TempDir(), append(c.settings(), distilled(teacher)...)...), func(r *run) {
				checkPlan(t, r)
				s := r.stepShape()
				s.teacher = nil
				if with, without := r.stepShape().plan(), s.plan(); with[partHead] > 0 || without[partHead] == 0 {
					t.Errorf("the peak is not in the teacher's pass: %v, without one %v", with, without)
				}
			})
		})
	}
}

// Each train line tells what its peak consisted of, and the log's end names the parts.
func TestThePeakIsToldByKind(t *testing.T) {
	o := smallRun(t, t.TempDir(), "max_steps=2")
	var log strings.Builder
	o.Stderr = &log
	o.Config.Monitoring.Progress = "plain"
	torch.ResetPeakMemory(torch.CPU) // whatever tests came before
	mustRun(t, o)
	text, err := os.ReadFile(filepath.Join(o.Config.OutputDir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for line := range strings.Lines(string(text)) {
		var e struct {
			Event string
			Peak  int64            `json:"peak_memory_bytes"`
			Kinds map[string]int64 `json:"peak_memory_by_kind"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event != "train" {
			continue
		}
		told++
		sum := int64(0)
		for _, bytes := range e.Kinds {
			sum += bytes
		}
		if sum != e.Peak || e.Kinds["weights"] == 0 || e.Kinds["optimizer"] == 0 || len(e.Kinds) != torch.NumMemoryKinds {
			t.Errorf("the kinds %v are not those of a peak of %d", e.Kinds, e.Peak)
		}
	}
	if told != 2 || !strings.Contains(log.String(), "of the peak: weights ") {
		t.Errorf("%d train lines, log:\n%s", told, log.String())
	}
}

// Logits of a full batch that are cut into two chunks: those of a smaller one would fit one that is larger.
func TestASmallerBatchTakesNoMoreThanAFullOne(t *testing.T) {
	c := planCase{precision: "fp32", attention: "flash", rows: 3, length: 256, hidden: 16, layers: 1, heads: 1, vocab: 50257, accumulation: 1, offload: "false"}
	inRun(t, smallRun(t, t.TempDir(), c.settings()...), func(r *run) {
		full := min(r.model.ChunkRows(), int64(c.rows*c.length))
		if alone := gpt2.EvenRows(2*256, r.model.Config.ChunkRows()); full >= alone {
			t.Fatalf("chunks of %d rows and of %d: there is nothing to see", full, alone)
		}
		b := fullBatch(2, c.length, c.vocab)
		torch.ResetPeakMemory(r.device)
		if err := r.step(&data.Window{Batches: []data.Batch{b}, Targets: b.Targets}); err != nil {
			t.Fatal(err)
		}
		if most := r.stepShape().plan().sum(); r.peakMemory() > most {
			t.Errorf("%d bytes with two rows, planned %d with three", r.peakMemory(), most)
		}
	})
}

func checkPlan(t *testing.T, r *run) {
	if err := r.chooseKernels(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.timeStep(); err != nil {
		t.Fatal(err)
	}
	p, measured := r.stepShape().plan(), r.peakMemory()
	_, kinds := torch.MemoryByKind(r.device)
	t.Logf("%+.2f%%: planned %d, measured %d", 100*(float64(p.sum())/float64(measured)-1), p.sum(), measured)
	near := func(what string, planned, counted int64) {
		if math.Abs(float64(planned-counted)) > 0.03*float64(measured) {
			t.Errorf("%s: planned %d, measured %d", what, planned, counted)
		}
	}
	near("sum", p.sum(), measured)
	near("weights", p[partWeights]+p[partTeacherWeights], kinds[torch.MemoryWeights])
	near("gradients", p[partGradients], kinds[torch.MemoryGradients])
	near("optimizer", p[partOptimizer], kinds[torch.MemoryOptimizer])
	near("activations", p[partActivations], kinds[torch.MemoryActivations])
	near("head", p[partHead]+p[partTeacher], kinds[torch.MemoryHead])
	if other := kinds[torch.MemoryOther]; other > 4096 {
		t.Errorf("%d bytes are of no kind", other)
	}
}

// presetPlan is the plan of a preset with GPT-2's vocabulary in bf16, of one micro-batch, as the page has it.
func presetPlan(t *testing.T, preset string) (parameters int64, p memoryPlan) {
	t.Helper()
	c, _, err := config.Load(config.LoadOptions{Set: []string{"preset=" + preset}})
	if err != nil {
		t.Fatal(err)
	}
	m := gpt2.Config{VocabSize: 50257, HiddenSize: c.HiddenSize, NumLayers: c.NumLayers, NumHeads: c.NumHeads, IntermediateSize: c.IntermediateSize,
		MaxPositionEmbeddings: c.MaxPositionEmbeddings}
	s := stepShape{model: m, rows: int64(c.BatchSize), length: int64(c.MaxPositionEmbeddings), precision: torch.BFloat16,
		checkpointing: c.GradientCheckpointing, chunkRows: headRows(c, m, int64(c.BatchSize))}
	return m.NumParameters(), s.plan()
}

// docs/presets.md shows what the program prints for the two smaller presets; the table is computed for all.
func TestThePresetsPageHasThePlan(t *testing.T) {
	names := [][]string{{"parameters", "weights", "gradients", "optimizer", "activations", "head", "sum"},
		{"parâmetros", "pesos", "gradientes", "otimizador", "ativações", "cabeça", "soma"}}
	for language, page := range []string{"presets.md", "presets.pt-BR.md"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		table := map[string][]string{}
		for line := range strings.Lines(string(text)) {
			if cells := strings.Split(strings.Trim(line, "| \n"), " | "); len(cells) == 5 {
				table[cells[0]] = cells
			}
		}
		for column, preset := range []string{"4gb", "6gb", "8gb", "large"} {
			parameters, p := presetPlan(t, preset)
			want := []string{monitor.FormatCount(parameters)}
			for _, bytes := range append(p[:partTeacherWeights:partTeacherWeights], p.sum()) {
				want = append(want, monitor.FormatBytes(bytes))
			}
			for row, name := range names[language] {
				plain := strings.NewReplacer(",", "", ".", "")
				if cells := table[name]; cells == nil || plain.Replace(cells[column+1]) != plain.Replace(want[row]) {
					t.Errorf("%s: %s of %s: the table has %q, planned is %s", page, name, preset, cells, want[row])
				}
			}
		}
	}
}
