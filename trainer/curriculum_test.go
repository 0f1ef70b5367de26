package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"frugal/trainer/config"
)

// threeStages writes three texts, and is the settings of a curriculum over them.
func threeStages(t *testing.T, dir string, settings ...string) []string {
	t.Helper()
	var stages []string
	for stage, name := range []string{"easy", "middle", "hard"} {
		var b strings.Builder
		for i := range 25 {
			fmt.Fprintf(&b, "%s %d", strings.Repeat("a maré subiu e ", stage+1), i*(stage+3)%17)
			b.WriteString([]string{". Sim.", ", e a lua veio depois.", "; porém, ninguém o soube dizer a tempo, nem eu."}[stage])
			if b.WriteString("\n\n"); i%3 == 2 {
				b.WriteString("<|endoftext|>\n")
			}
		}
		path := filepath.Join(dir, name+".txt")
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		stages = append(stages, fmt.Sprintf("{name: %s, data: [%s], difficulty: %d}", name, path, stage+1))
	}
	return append([]string{"data.train=[]", "curriculum.enabled=true", "curriculum.stages=[" + strings.Join(stages, ",") + "]"}, settings...)
}

// staged is smallRun with a curriculum.
func staged(t *testing.T, dir string, settings ...string) Options {
	t.Helper()
	return smallRun(t, dir, threeStages(t, dir, settings...)...)
}

// TestACurriculumResumesToTheLastBit interrupts runs after each of their steps, in laps and at their ends.
func TestACurriculumResumesToTheLastBit(t *testing.T) {
	for name, settings := range map[string][]string{
		"packed":     {"curriculum.schedule=exp", "dropout=0.1", "max_steps=13", "logging_steps=4", "eval_steps=5"},
		"unpacked":   {"data.packing=false", "gradient_accumulation_steps=3", "dropout=0.1", "max_steps=0", "num_epochs=2", "logging_steps=3"},
		"skipped":    {"precision=fp16", "max_steps=5", "batch_size=1", "curriculum.schedule=step", "logging_steps=2"},
		"buckets":    {"curriculum.stages=[]", "curriculum.difficulty=auto", "curriculum.buckets=2", "max_steps=6", "logging_steps=4"},
		"two points": {"curriculum.schedule=piecewise", "curriculum.points=[{step: 0, weights: [1, 0, 1]}, {step: 5, weights: [0, 1, 1]}]", "max_steps=6"},
	} {
		t.Run(name, func(t *testing.T) {
			corpus := t.TempDir()
			settings = threeStages(t, corpus, settings...)
			if name == "buckets" {
				settings = append(settings, "data.train=["+filepath.Join(corpus, "*.txt")+"]")
			}
			_, o := endsLikeTheUndisturbed(t, func(dir string) Options { return smallRun(t, dir, settings...) })
			if name == "packed" {
				checkMix(t, events(t, o, "train"))
			}
		})
	}
}

// checkMix: every interval tells all its rows, and weights that sum to 1.
func checkMix(t *testing.T, intervals []map[string]any) {
	t.Helper()
	total, weight := 0.0, 0.0
	for _, e := range intervals {
		drawn, weights := e["curriculum_drawn"].(map[string]any), e["curriculum_weights"].(map[string]any)
		for _, stage := range []string{"easy", "middle", "hard"} {
			total += drawn[stage].(float64)
			weight += weights[stage].(float64)
		}
	}
	if want := 13 * 4.; total != want || weight < 3.999999 || weight > 4.000001 || len(intervals) != 4 {
		t.Errorf("%v rows drawn in all, want %v; the weights of %d intervals sum to %v", total, want, len(intervals), weight)
	}
}

// The same rows, so the same losses but for rounding, for any division of a window.
func TestACurriculumDoesNotDependOnTheAccumulation(t *testing.T) {
	corpus := t.TempDir()
	settings := threeStages(t, corpus, "max_steps=5")
	one, four := smallRun(t, t.TempDir(), append(settings, "batch_size=4", "gradient_accumulation_steps=1")...),
		smallRun(t, t.TempDir(), append(settings, "batch_size=1", "gradient_accumulation_steps=4")...)
	mustRun(t, one)
	mustRun(t, four)
	a, b := losses(t, one), losses(t, four)
	for i := range a {
		if diff := a[i] - b[i]; diff > 1e-5 || diff < -1e-5 {
			t.Errorf("update %d: loss %v and %v", i+1, a[i], b[i])
		}
	}
	for i, e := range events(t, one, "train") {
		if d := cmp.Diff(e["curriculum_drawn"], events(t, four, "train")[i]["curriculum_drawn"]); d != "" {
			t.Error(d)
		}
	}
}

// logOf is what a run says, warnings included.
func logOf(t *testing.T, o Options) string {
	t.Helper()
	var log bytes.Buffer
	o.Stderr = &log
	mustRun(t, o)
	return log.String()
}

func TestARunSaysWhatItsCurriculumIs(t *testing.T) {
	dir := t.TempDir()
	log := logOf(t, staged(t, dir, "max_steps=10", "curriculum.total_steps=20", "data.train=["+textFile(t, dir)+"]"))
	for _, want := range []string{
		"curriculum: data.train is not used; the stages take its place",
		"curriculum: rows are drawn from 3 stages by the linear schedule, over 20 updates",
		"stage   documents  rows  tokens  difficulty  largest share  from step\n",
		"easy            ", "           1           100%          1\n",
		"warning: curriculum: nothing is ever drawn from stage hard: its weight is 0 from the run's first step to its last, 10;",
		"curriculum: gone through easy 2.00 times (36 rows), middle 0.10 times (4 rows), hard 0.00 times (0 rows)",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
}

func TestACurriculumThatIsLessThanItSeemsIsSaid(t *testing.T) {
	dir := t.TempDir()
	same := "{name: %s, data: [" + filepath.Join(dir, "hard.txt") + "]}"
	twice := "curriculum.stages=[" + fmt.Sprintf(same, "one") + "," + fmt.Sprintf(same, "other") + "]"
	alone := "curriculum.stages=[" + fmt.Sprintf(same, "one") + "]"
	for _, test := range []struct {
		settings []string
		want     []string
		silent   string
	}{
		{[]string{"curriculum.difficulty=auto", twice},
			[]string{"warning: curriculum: stages one and other hardly differ by what was measured, ", " bits/byte, and yet are of difficulty 1 and 2"}, "one stage"},
		{[]string{"curriculum.difficulty=auto"}, nil, "hardly differ"},
		{[]string{"curriculum.schedule=piecewise", "curriculum.points=[{step: 0, weights: [1]}]", alone},
			[]string{"drawn from 1 stage by the piecewise schedule, through 1 point;", "warning: curriculum: one stage is no curriculum: all rows come from one"}, "hardly"},
		{[]string{"curriculum.schedule=piecewise", "curriculum.points=[{step: 0, weights: [1, 0, 2e-5]}, {step: 9, weights: [1, 0, 2e-5]}, {step: 10, weights: [1, 1, 0]}]"},
			[]string{"  0.002%  ", "stage middle: its weight is 0 from the run's first step to its last, 2; another step or weight in curriculum.points would reach it"}, "stage hard:"},
	} {
		log := logOf(t, smallRun(t, t.TempDir(), append(threeStages(t, dir, "max_steps=2"), test.settings...)...))
		for _, want := range test.want {
			if !strings.Contains(log, want) {
				t.Errorf("the log does not say %q:\n%s", want, log)
			}
		}
		if strings.Contains(log, test.silent) {
			t.Errorf("the log says %q:\n%s", test.silent, log)
		}
	}
}

// Two measures put the stages of the test, which are listed in another order, in that of their making.
func TestStagesAreMeasuredAndOrdered(t *testing.T) {
	dir := t.TempDir()
	settings := threeStages(t, dir, "max_steps=4", "curriculum.difficulty=auto", "curriculum.schedule=step")
	stages := func(names ...string) string {
		for i, name := range names {
			names[i] = fmt.Sprintf("{name: %s, data: [%s]}", name, filepath.Join(dir, name+".txt"))
		}
		return "curriculum.stages=[" + strings.Join(names, ",") + "]"
	}
	o := smallRun(t, dir, append(settings, "curriculum.measure=sentence_length", stages("hard", "easy", "middle"))...)
	log := logOf(t, o)
	var drawn []string
	for _, e := range events(t, o, "train") {
		for stage, n := range e["curriculum_drawn"].(map[string]any) {
			if n.(float64) > 0 {
				drawn = append(drawn, stage)
			}
		}
	}
	if want := []string{"easy", "easy", "middle", "hard"}; !slices.Equal(drawn, want) {
		t.Errorf("the steps drew from %v, want %v\n%s", drawn, want, log)
	}
	if !strings.Contains(log, "words/sentence  difficulty") || !strings.Contains(log, "measured stage hard by sentence_length: ") {
		t.Errorf("the log has no table of what was measured:\n%s", log)
	}
	// A resume takes what the checkpoint keeps; another measure that finds another order is another training.
	mustRun(t, smallRun(t, dir, append(settings, "curriculum.measure=sentence_length", stages("hard", "easy", "middle"), "max_steps=6")...))
	err := Run(context.Background(), smallRun(t, dir, append(settings, "curriculum.difficulty=given", "curriculum.schedule=linear", "max_steps=8")...))
	if err == nil || !strings.Contains(err.Error(), "curriculum.stages") {
		t.Errorf("a resume with the stages in another order: %v", err)
	}
}

// A model that has learnt one stage only finds that one the easiest, by its own tokenizer.
func TestAModelMeasuresWhatItHasLearnt(t *testing.T) {
	dir := t.TempDir()
	settings := threeStages(t, dir)
	teacher := smallRun(t, t.TempDir(), "data.train=["+filepath.Join(dir, "hard.txt")+"]", "max_steps=60", "learning_rate=1e-2", "lr_schedule=constant")
	mustRun(t, teacher)
	settings = append(settings, "max_steps=1", "curriculum.difficulty=auto", "curriculum.measure=model", "curriculum.model="+teacher.Config.OutputDir)
	log := logOf(t, smallRun(t, dir, settings...))
	inRun(t, smallRun(t, t.TempDir(), settings...), func(r *run) {
		if m := r.curriculum.measured; !(m[2] < m[0] && m[2] < m[1]) || r.curriculum.Difficulties[2] != 1 {
			t.Errorf("measured %v, difficulties %v\n%s", m, r.curriculum.Difficulties, log)
		}
	})
	err := Run(context.Background(), smallRun(t, t.TempDir(), append(settings, "curriculum.model="+dir)...))
	if err == nil || !strings.Contains(err.Error(), "curriculum.model: "+dir) {
		t.Errorf("a directory without a model: %v", err)
	}
}

// A resume takes what was measured from the checkpoint: the model may be gone, and what another device would find does not count.
func TestAResumeDoesNotMeasureAgain(t *testing.T) {
	corpus := t.TempDir()
	stages := threeStages(t, corpus)
	teacher := smallRun(t, t.TempDir(), "data.train=["+filepath.Join(corpus, "hard.txt")+"]", "max_steps=2")
	mustRun(t, teacher)
	for name, settings := range map[string][]string{
		"stages":  stages,
		"buckets": append(slices.Clone(stages), "curriculum.stages=[]", "data.train=["+filepath.Join(corpus, "*.txt")+"]", "curriculum.buckets=3"),
	} {
		t.Run(name, func(t *testing.T) {
			dir, model := t.TempDir(), filepath.Join(t.TempDir(), "mm")
			if err := os.CopyFS(model, os.DirFS(filepath.Join(teacher.Config.OutputDir, "final_model"))); err != nil {
				t.Fatal(err)
			}
			settings = append(settings, "curriculum.difficulty=auto", "curriculum.measure=model", "curriculum.model="+model)
			first := logOf(t, smallRun(t, dir, append(settings, "max_steps=3")...))
			if strings.Contains(first, "measured when the run began") {
				t.Errorf("the first session says\n%s", first)
			}
			if err := os.RemoveAll(model); err != nil {
				t.Fatal(err)
			}
			complete, more := logOf(t, smallRun(t, dir, append(settings, "max_steps=3")...)), logOf(t, smallRun(t, dir, append(settings, "max_steps=5")...))
			const want = "curriculum: measured when the run began; the checkpoint keeps what was found"
			if !strings.Contains(complete, want) || !strings.Contains(more, want) || !strings.Contains(more, "done: 5 steps") {
				t.Errorf("the log does not say %q, or the run is not done:\n%s\n%s", want, complete, more)
			}
			again := logOf(t, smallRun(t, dir, append(settings, "max_steps=6")...)) // kept in the resumed run's checkpoint, too
			if !strings.Contains(again, want) {
				t.Errorf("the third session says\n%s", again)
			}
			err := Run(context.Background(), smallRun(t, dir, append(settings, "max_steps=7", "curriculum.model="+model+"2")...))
			if err == nil || !strings.Contains(err.Error(), "curriculum.model: ") {
				t.Errorf("another model measures anew, and this one is nowhere: %v", err)
			}
		})
	}
}

// Buckets hold all passages, the easier before the harder, some of as many tokens, and the evaluation is that of the whole.
func TestBucketsDivideTheCorpus(t *testing.T) {
	dir := t.TempDir()
	settings := append(threeStages(t, dir), "curriculum.stages=[]", "data.train=["+filepath.Join(dir, "*.txt")+"]", "curriculum.difficulty=auto", "curriculum.buckets=3")
	inRun(t, smallRun(t, t.TempDir(), append(settings, "curriculum.enabled=false")...), func(plain *run) {
		for _, measure := range []string{"compression", "sentence_length"} {
			o := smallRun(t, t.TempDir(), append(settings, "curriculum.measure="+measure)...)
			r := newRun(o)
			if err := r.openOutput(); err != nil {
				t.Fatal(err)
			}
			defer r.close()
			if err := r.build(context.Background(), r.findCheckpoint); err != nil {
				t.Fatal(err)
			}
			stages := r.data.Stages()
			bytes := int64(0)
			for _, s := range stages {
				bytes += s.Bytes
				if share := float64(s.Tokens) / float64(plain.data.Train().Tokens); share < 0.2 || share > 0.5 {
					t.Errorf("%s: %s has %.0f%% of the tokens", measure, s.Name, 100*share)
				}
			}
			if len(stages) != 3 || stages[2].Name != "bucket_3" || bytes != plain.data.Train().Bytes || r.data.Eval() != plain.data.Eval() {
				t.Errorf("%s: %+v of %+v, evaluation %+v, want %+v", measure, stages, plain.data.Train(), r.data.Eval(), plain.data.Eval())
			}
			if m := r.curriculum.measured; !slices.IsSorted(m) || m[0] == m[2] || !slices.Equal(r.curriculum.Difficulties, []float64{1, 2, 3}) {
				t.Errorf("%s: measured %v, difficulties %v", measure, m, r.curriculum.Difficulties)
			}
		}
	})
}

func TestTooManyBucketsAreRefusedByTheirKey(t *testing.T) {
	dir := t.TempDir()
	settings := append(threeStages(t, dir), "curriculum.stages=[]", "data.train=["+filepath.Join(dir, "*.txt")+"]", "curriculum.difficulty=auto")
	for buckets, want := range map[int]string{
		1000: "curriculum.buckets: 1000: the training corpus has 25 passages, and a bucket holds one at least; want fewer buckets",
		25:   "tokens, too few for a row (max_position_embeddings 512); want fewer buckets",
	} {
		err := Run(context.Background(), smallRun(t, t.TempDir(), append(settings, fmt.Sprintf("curriculum.buckets=%d", buckets), "max_position_embeddings=512")...))
		var problem *config.Error
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("curriculum.buckets: %d: ", buckets)) {
			t.Errorf("%d buckets: %v", buckets, err)
		}
	}
}

func TestRenamedStagesAreSaidInJSON(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, staged(t, dir, "max_steps=2"))
	o := staged(t, dir, "max_steps=3")
	o.Config.Curriculum.Stages[0].Name = "easiest"
	log, want := logOf(t, o), fmt.Sprintf(`{"data":["%s"],"difficulty":1,"name":"easiest"}`, filepath.Join(dir, "easy.txt"))
	if !strings.Contains(log, "curriculum.stages: [{") || !strings.Contains(log, want) || strings.Contains(log, "map[") {
		t.Errorf("the log does not say %s:\n%s", want, log)
	}
}

// A tokenizer that is trained learns from all stages.
func TestATokenizerIsTrainedOnTheStages(t *testing.T) {
	dir := t.TempDir()
	o := staged(t, dir, "tokenizer.type=bpe", "tokenizer.vocab_size=300")
	o.Config.Data.Train = []string{filepath.Join(dir, "not there.txt")}
	inRun(t, o, func(r *run) {
		var files []string
		for text, err := range r.documents() {
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, string(text))
		}
		if all := strings.Join(files, ""); !strings.Contains(all, "Sim.") || !strings.Contains(all, "veio depois") || !strings.Contains(all, "ninguém") {
			t.Errorf("%d documents lack a stage", len(files))
		}
		if n := r.tokenizer.VocabSize(); n != 300 {
			t.Errorf("%d tokens", n)
		}
	})
}

func TestAStageOfNoFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	o := staged(t, dir)
	o.Config.Curriculum.Stages[1].Data = []string{"nowhere/*.txt"}
	err := Run(context.Background(), o)
	if err == nil || err.Error() != "data: curriculum.stages[1] (middle): nowhere/*.txt: no file matches" {
		t.Errorf("error %v", err)
	}
}

func TestRowsOfATextHaveEachTokenAsATargetOnce(t *testing.T) {
	for n := 2; n < 20; n++ {
		ids := make([]int64, n)
		for i := range ids {
			ids[i] = int64(100 + i)
		}
		for positions := 2; positions < 22; positions++ {
			b := rowsOf(ids, positions)
			var targets []int64
			for row, length := range b.Lengths {
				targets = append(targets, b.InputIDs[row*b.Length+1:row*b.Length+int(length)]...)
			}
			if !slices.Equal(targets, ids[1:]) || b.Length > positions || len(b.InputIDs) != b.Rows*b.Length || len(b.Lengths) != b.Rows {
				t.Fatalf("%d ids in rows of %d: %+v", n, positions, b)
			}
		}
	}
}

func TestSpreadTakesEvenAndOddNumbersInTurn(t *testing.T) {
	for n := 1; n < 70; n++ {
		for all := range 300 {
			numbers := spread(n, all)
			if all < 2*n && len(numbers) != all || all >= 2*n && len(numbers) != n {
				t.Fatalf("%d of %d: %v", n, all, numbers)
			}
			for i, number := range numbers {
				if number%2 != i%2 || number >= all || i > 0 && number <= numbers[i-1] {
					t.Fatalf("%d of %d: %v", n, all, numbers)
				}
			}
		}
	}
}
