package config

// What no single key can say: rules over several keys, and keys whose machinery is not built yet.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rule holds over several keys. broken says what is wrong, "" if nothing is. It is not asked where one of its keys
// already has a problem of its own.
type rule struct {
	keys   []string
	broken func(c *TrainingConfig) string
}

var rules = []rule{
	{[]string{"num_heads", "hidden_size"}, brokenHeads},
	{[]string{"hidden_size", "num_layers", "intermediate_size", "vocab_size", "max_position_embeddings"}, brokenModelSize},
	{[]string{"batch_size", "gradient_accumulation_steps", "max_position_embeddings"}, brokenWindow},
	{[]string{"tokenizer.path", "tokenizer.type"}, brokenTokenizerPath},
	{[]string{"tokenizer.vocab_size", "tokenizer.type", "tokenizer.path"}, brokenTokenizerSize},
	{[]string{"curriculum.enabled", "curriculum.stages", "curriculum.buckets"}, brokenCurriculum},
	{[]string{"curriculum.stages", "curriculum.difficulty", "curriculum.schedule"}, brokenStages},
	{[]string{"curriculum.buckets", "curriculum.stages", "curriculum.difficulty"}, brokenBuckets},
	{[]string{"curriculum.model", "curriculum.measure"}, brokenMeasure},
	{[]string{"curriculum.points", "curriculum.enabled", "curriculum.stages", "curriculum.buckets", "curriculum.schedule"}, brokenPoints},
	{[]string{"distillation.enabled", "distillation.teacher", "distillation.cache"}, brokenDistillation},
	{[]string{"local_steps", "eval_steps", "save_steps", "monitoring.sample_steps"}, brokenLocalSteps},
	{[]string{"local_steps", "shard_optimizer"}, brokenLocalShard},
}

// check applies the rules to keys that are not bad already.
func (c *TrainingConfig) check(bad map[string]bool) []Problem {
	var problems []Problem
	for _, r := range rules {
		if slices.ContainsFunc(r.keys, func(name string) bool { return bad[name] }) {
			continue
		}
		if message := r.broken(c); message != "" {
			problems = append(problems, c.problem(c.culprit(r.keys), message))
		}
	}
	return problems
}

// culprit is the key that the user set last: the one to name. Among equals, the first.
func (c *TrainingConfig) culprit(names []string) string {
	worst := names[0]
	for _, name := range names[1:] {
		if c.origins[name].Layer > c.origins[worst].Layer {
			worst = name
		}
	}
	return worst
}

// brokenHeads leaves a model that init_from names alone: what is not set here is its own, and agrees.
func brokenHeads(c *TrainingConfig) string {
	if c.HiddenSize%c.NumHeads == 0 || c.InitFrom != "" {
		return ""
	}
	var near []string
	for distance := 1; len(near) == 0; distance++ {
		for _, heads := range []int{c.NumHeads - distance, c.NumHeads + distance} {
			if heads > 0 && c.HiddenSize%heads == 0 {
				near = append(near, strconv.Itoa(heads))
			}
		}
	}
	return fmt.Sprintf("hidden_size %d is not a multiple of num_heads %d; with num_heads %s it would be", c.HiddenSize, c.NumHeads, strings.Join(near, " or "))
}

// brokenModelSize refuses models that no machine holds: weights alone of terabytes.
func brokenModelSize(c *TrainingConfig) string {
	const most = 1e12
	hidden, vocabulary := float64(c.HiddenSize), float64(c.VocabSize)
	blocks := float64(c.NumLayers) * (4*hidden*hidden + 2*hidden*float64(c.IntermediateSize))
	total := blocks + hidden*(vocabulary+float64(c.MaxPositionEmbeddings))
	if total <= most {
		return ""
	}
	return fmt.Sprintf("the model would have %.2g parameters; want at most %.0g", total, most)
}

func brokenWindow(c *TrainingConfig) string {
	const most = 1 << 32
	if tokens := c.EffectiveBatchSize() * c.MaxPositionEmbeddings; tokens > most {
		return fmt.Sprintf("batch_size %d × gradient_accumulation_steps %d × max_position_embeddings %d is %.2g tokens an update; want at most %d",
			c.BatchSize, c.GradientAccumulationSteps, c.MaxPositionEmbeddings, float64(tokens), most)
	}
	return ""
}

func brokenTokenizerPath(c *TrainingConfig) string {
	if c.Tokenizer.Path != "" && c.Tokenizer.Type == "byte" {
		return "the tokenizer of type byte has no file; leave out tokenizer.path or tokenizer.type"
	}
	return ""
}

func brokenTokenizerSize(c *TrainingConfig) string {
	switch size := keyByName["tokenizer.vocab_size"].def.(int); {
	case c.Tokenizer.VocabSize == size || c.Tokenizer.Type == "bpe" && c.Tokenizer.Path == "":
		return ""
	case c.Tokenizer.Path != "":
		return "only a bpe that is trained on the corpus takes a size; tokenizer.path brings a finished one"
	default:
		return "only tokenizer.type bpe takes a size; the type is " + c.Tokenizer.Type
	}
}

func brokenDistillation(c *TrainingConfig) string {
	if d := c.Distillation; d.Enabled && d.Teacher == "" && d.Cache == "" && d.Alpha > 0 {
		return "distillation needs distillation.teacher, or a finished distillation.cache of one"
	}
	return ""
}

// brokenLocalSteps: between synchronisations there is no one model to evaluate, to show or to save.
func brokenLocalSteps(c *TrainingConfig) string {
	for _, k := range []struct {
		name  string
		steps int
	}{{"eval_steps", c.EvalSteps}, {"save_steps", c.SaveSteps}, {"monitoring.sample_steps", c.Monitoring.SampleSteps}} {
		if h := c.LocalSteps; h > 0 && k.steps%h != 0 {
			return fmt.Sprintf("the processes have one model every %d updates (local_steps); want %s %d to be a multiple of that, or 0", h, k.name, k.steps)
		}
	}
	return ""
}

func brokenLocalShard(c *TrainingConfig) string {
	if c.LocalSteps > 0 && c.ShardOptimizer {
		return "with local_steps each process needs all of the moments; want local_steps 0 or shard_optimizer false"
	}
	return ""
}
