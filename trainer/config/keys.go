package config

// The one table of keys: name, default, limits, and what the key does. Checks, defaults, environment variables, printing
// and docs/configuration.md all come from here.

import (
	"math"
	"strings"
)

// key is one setting. name is dotted; def is the default in the type that its kind reads.
type key struct {
	name string
	kind kind
	def  any
	doc  string
}

// Limits that only absurd values reach; they keep every product of sizes far from overflow.
const (
	maxSize  = 1 << 20
	maxCount = 1_000_000_000
)

// effectiveBatchSize is accepted where it agrees with batch_size × gradient_accumulation_steps; it is no setting.
const effectiveBatchSize = "effective_batch_size"

var stageFields = []key{
	{name: "name", kind: someText},
	{name: "data", kind: list{glob}},
	{name: "difficulty", kind: above(0, 1e9), def: 0.0},
}

var pointFields = []key{
	{name: "step", kind: whole{0, maxCount}},
	{name: "weights", kind: list{between(0, 1e9)}},
}

// keys is in the order in which a configuration is printed; a section's keys stand together.
var keys = []key{
	{"vocab_size", whole{0, 10_000_000}, 0, "Rows of the embedding and of the output. 0: as many as the tokenizer has. More than that is allowed (unused rows), fewer is an error."},
	{"hidden_size", whole{1, 1 << 16}, 384, "Width of the model; a multiple of num_heads. Memory and time grow with its square."},
	{"num_layers", whole{1, 1000}, 6, "Transformer blocks."},
	{"num_heads", whole{1, 1 << 12}, 6, "Attention heads; hidden_size / num_heads is a head's width."},
	{"intermediate_size", whole{1, maxSize}, 1536, "Width of a block's feed-forward layer; GPT-2 uses 4 × hidden_size."},
	{"max_position_embeddings", whole{2, maxSize}, 1024, "Tokens in a row: the longest context the model sees. Activations grow with it, attention's time with its square."},
	{"dropout", below(0, 1), 0.0, "Share of activations dropped while training."},

	{"batch_size", whole{1, 1_000_000}, 4, "Rows computed at once (a micro-batch). The first thing to halve when memory is short."},
	{"gradient_accumulation_steps", whole{1, 1_000_000}, 8, "Micro-batches whose gradients make one update. Costs time, not memory: batch_size × this is the effective batch size."},
	{"learning_rate", above(0, 1000), 5e-5, "Rate at the end of the warm-up, from which the schedule falls."},
	{"weight_decay", between(0, 100), 0.01, "AdamW's decoupled decay of weights and embeddings; biases and LayerNorm parameters do not decay."},
	{"adam_beta1", below(0, 1), 0.9, "Decay of AdamW's mean of gradients."},
	{"adam_beta2", below(0, 1), 0.999, "Decay of AdamW's mean of squared gradients."},
	{"adam_epsilon", above(0, 1), 1e-8, "Added to AdamW's denominator."},
	{"max_grad_norm", between(0, 1e9), 1.0, "The gradient's norm, over all parameters, is clipped to this. 0: no clipping."},
	{"lr_schedule", word{"linear", "cosine", "constant"}, "linear", "How the learning rate goes on after the warm-up."},
	{"min_lr_ratio", between(0, 1), 0.0, "The schedule ends at this share of learning_rate."},
	{"num_epochs", whole{1, 1_000_000}, 3, "Times the data is gone through, where max_steps is 0."},
	{"max_steps", whole{0, maxCount}, 0, "Updates to make. 0: num_epochs decides; otherwise this alone decides."},
	{"warmup_steps", whole{0, maxCount}, 500, "Updates over which the learning rate rises from 0."},

	{"fp16", boolean{}, true, "Mixed precision where precision is auto: fp16 on a CUDA card, bf16 on a CPU that has bf16 instructions and is not slower with them, otherwise fp32. false: fp32."},
	{"precision", word{"auto", "fp32", "fp16", "bf16"}, "auto", "Precision of the arithmetic; weights stay in fp32. Wins over fp16. fp16 works on a CPU but is far slower there."},
	{"gradient_checkpointing", boolean{}, true, "Recompute a block's activations in the backward pass instead of keeping them: much less memory, some more time, the same losses."},
	{"linear", word{"auto", "onednn", "blas"}, "auto", "Library of linear layers in fp32 on a CPU; their weights' gradients come from blas. auto: the faster one, measured when the run starts; its resumes keep it. The last bits differ."},
	{"attention", word{"auto", "flash", "composed"}, "auto", "Attention on a CPU. flash: block by block, little memory; composed: all scores at once, faster for short rows. auto: the faster one, measured when the run starts; its resumes keep it. With dropout it is composed."},
	{"cpu_offload", word{string(OffloadOff), string(OffloadOptimizer), string(OffloadFull)}, string(OffloadOff), "true: weights in fp32, gradients and optimizer moments stay in the host's memory, 16 to 18 bytes a parameter, and the device keeps a copy of the weights in the precision of the arithmetic; full: of the blocks' weights only two blocks at a time. What is learnt stays the same to the bit."},
	{"memory_budget_gb", between(0, 1e6), 0.0, "Choose batch_size × gradient_accumulation_steps, whose product stays, gradient_checkpointing and on a card cpu_offload, whatever they are set to, so that all that the run does fits in this many GiB of the device's memory, by what its tensors take; a card's driver and CUDA take some hundred MB beside it. The log says what was chosen and why. 0: do not choose. Not set at all, with preset auto on a card: the card's free memory less a tenth, and what is set stays."},

	{"eval_steps", whole{0, maxCount}, 500, "Updates between evaluations; there is one before the first update and one at the end, too. 0: never."},
	{"save_steps", whole{0, maxCount}, 1000, "Updates between checkpoints. 0: only at the end and on a signal."},
	{"logging_steps", whole{1, maxCount}, 10, "Updates between lines of the log."},
	{"max_checkpoints", whole{1, 1_000_000}, 3, "Checkpoints kept; the oldest goes when a newer one has been verified."},
	{"output_dir", path, "./output", "Checkpoints, the final model, metrics.jsonl and train.log. One run at a time uses it."},
	{"logging_dir", path, "./logs", "TensorBoard's event files."},
	{"model_name", modelName, "model", "Checkpoints are called model_name_step_N."},

	{"seed", natural{}, uint64(42), "Fixes initial weights, data order and dropout."},
	{"device", device, "auto", "auto: the first CUDA card, otherwise the CPU."},
	{"threads", whole{0, 4096}, 0, "CPU threads of the arithmetic. 0: libtorch's choice."},
	{"init_from", optionalPath, "", "A directory of a Hugging Face GPT-2 to start from. Its config.json gives the architecture (a key set to something else is an error), its tokenizer.json the tokenizer unless tokenizer.path says otherwise."},
	{"resume", resume, "auto", "auto: go on from the newest checkpoint of output_dir that verifies, if there is any; never: start anew; or a checkpoint's directory."},
	{"preset", word(presetNames), "", "Sizes for a card's memory, for the keys that nothing else sets. auto: by the memory of the card."},

	{"reduce_precision", word{"fp32", "bf16"}, "fp32", "Precision in which several processes add up their gradients; bf16 halves the traffic."},
	{"shard_optimizer", boolean{}, false, "Each of several processes keeps only its share of the optimizer's moments."},
	{"local_steps", whole{0, 1_000_000}, 0, "Updates that each of several processes makes on its own between synchronisations, for slow networks (DiLoCo); eval_steps, save_steps and monitoring.sample_steps are multiples of it. 0: every update is synchronised."},
	{"outer_learning_rate", above(0, 10), 0.7, "With local_steps: rate of the outer step, by SGD with Nesterov momentum, along the mean of how far the processes have come. 1 with outer_momentum 0 takes the mean of their weights."},
	{"outer_momentum", below(0, 1), 0.5, "With local_steps: momentum of the outer step. 0.9 is the paper's, for hundreds of local steps; after few of them it carries too far."},

	{"data.train", list{glob}, []any{}, "Files to train on (.txt, .jsonl, .parquet, nanoGPT's and llm.c's .bin), as paths or patterns relative to the working directory. Empty: the embedded Portuguese corpus."},
	{"data.eval", list{glob}, []any{}, "Files to evaluate on."},
	{"data.eval_fraction", below(0, 1), 0.05, "Share of the training documents set aside for evaluation, where data.eval is empty. 0: none."},
	{"data.text_field", someText, "text", "Field of a .jsonl line or column of a .parquet file that holds the text."},
	{"data.packing", boolean{}, true, "Join documents into full rows. false: one document a row, cut and padded."},
	{"data.cache_dir", optionalPath, "", `Where token files are kept between runs. "": the default place, which the log names.`},

	{"tokenizer.type", word{"gpt2", "bpe", "byte"}, "gpt2", "gpt2: GPT-2's own 50257 tokens; bpe: trained on the corpus; byte: one token a byte."},
	{"tokenizer.path", optionalPath, "", "A byte-level BPE tokenizer.json to use instead of tokenizer.type."},
	{"tokenizer.vocab_size", whole{257, 10_000_000}, 8192, "Tokens of a bpe that is trained on the corpus."},

	{"curriculum.enabled", boolean{}, false, "Draw the training rows from stages of rising difficulty, which take the place of data.train."},
	{"curriculum.schedule", word{"linear", "exp", "step", "piecewise"}, "linear", "How the stages' weights follow the step, with p the share of total_steps that was done before the step and d a stage's difficulty, the largest being 1. linear: max(0, 1 − 2|p − d|); exp: e^(−5|p − d|); step: one stage after another; piecewise: through curriculum.points, whatever the difficulties. The weights are divided by their sum; where all are 0, all stages weigh the same."},
	{"curriculum.difficulty", word{"given", "auto"}, "given", "given: the stages' own numbers; auto: the stages are measured (curriculum.measure), and their difficulties are 1, 2, … in the order of what was found."},
	{"curriculum.measure", word{"compression", "sentence_length", "model"}, "compression", "What auto measures. compression: bits per byte under a compressor that knows a sample of all the texts; sentence_length: words a sentence; model: bits per byte under curriculum.model."},
	{"curriculum.model", optionalPath, "", "Directory of the GPT-2 that measures with, where curriculum.measure is model: a checkpoint, a run's output_dir or a Hugging Face model."},
	{"curriculum.buckets", whole{0, 1000}, 0, "With difficulty auto and no stages: divide the training corpus, passage by passage, into this many stages of about as many tokens, bucket_1 the easiest. 0: do not."},
	{"curriculum.total_steps", whole{0, maxCount}, 0, "The hardest stage is reached once this many updates are done. 0: those of the run, so that a longer max_steps stretches the curriculum."},
	{"curriculum.stages", list{record{stageFields}}, []any{}, "The stages, from easy to hard: {name, data: [patterns], difficulty: a number above 0}. auto and piecewise need no difficulty."},
	{"curriculum.points", list{record{pointFields}}, []any{}, "Points of the piecewise schedule: {step: updates done before, weights: one number a stage, in the order in which the stages are listed, also where auto finds another}. step 100 is what the log calls step 101. Between two points the weights go straight from one to the other."},

	{"distillation.enabled", boolean{}, false, "Learn from a teacher's probabilities as well as from the text: the loss is alpha·T²·KL(teacher ‖ student) + (1 − alpha)·cross entropy, T the temperature that softens both."},
	{"distillation.teacher", optionalPath, "", "Directory of the teacher: a final_model, a checkpoint, a run's output_dir or a Hugging Face GPT-2. It has the student's tokenizer and vocab_size, and at least its max_position_embeddings."},
	{"distillation.temperature", between(0.01, 100), 2.0, "Divides both models' logits: above 1 the unlikely tokens count for more. From some 20 on the logged distillation_loss, a small difference of large sums, is right to four figures only; the gradient stays exact, with a cache to three."},
	{"distillation.alpha", between(0, 1), 0.5, "The teacher's share of the loss. 0: plain training, and the teacher is not loaded; 1: the text's own tokens count for nothing."},
	{"distillation.cache", optionalPath, "", `Directory that keeps what the teacher says of every training row. It is filled at the start, with the teacher alone in memory; from then on the teacher is not needed, nor its directory, so that another machine may fill it. "": the teacher stays in memory, and the loss is exact.`},
	{"distillation.cache_top_k", whole{1, 10_000_000}, 64, "Probabilities that distillation.cache keeps for each position, the largest; all others count as one. About 4 bytes each on disk. The higher the temperature, the less of the probability they hold; the log says how much."},

	{"monitoring.tensorboard", boolean{}, true, "Write TensorBoard event files to logging_dir."},
	{"monitoring.progress", word{"auto", "bar", "plain", "off"}, "auto", "auto: a bar on a terminal, otherwise a plain line at each log."},
	{"monitoring.histogram_steps", whole{0, maxCount}, 0, "Updates between histograms of gradients and weights. 0: never."},
	{"monitoring.sample_steps", whole{0, maxCount}, 0, "Updates between samples of generated text. 0: never."},
	{"monitoring.prompts", list{anyText}, []any{}, "Prompts of the samples; none: what the model writes of itself."},
	{"monitoring.max_length", whole{1, maxSize}, 50, "Tokens of a sample, its prompt included."},
	{"monitoring.num_return_sequences", whole{1, 1000}, 1, "Samples for each prompt."},
	{"monitoring.top_p", above(0, 1), 0.9, "Sample from the smallest set of tokens whose probability reaches this."},
	{"monitoring.top_k", whole{0, 10_000_000}, 0, "Sample from this many most probable tokens. 0: all."},
	{"monitoring.temperature", between(0, 1000), 0.7, "Divides the logits before sampling. 0: always the most probable token."},
	{"monitoring.listen", listen, "", `Address of the live page, such as "127.0.0.1:6007"; port 0 is any free one. Beyond this machine, as in ":6007", it asks for a token, which the log shows. "": no page.`},
}

// architectureKeys are those that init_from decides.
var architectureKeys = []string{"vocab_size", "hidden_size", "num_layers", "num_heads", "intermediate_size", "max_position_embeddings"}

var keyByName, sections = indexKeys()

// indexKeys maps each name to its key, and each section to the names inside it.
func indexKeys() (map[string]key, map[string][]string) {
	byName := map[string]key{effectiveBatchSize: {name: effectiveBatchSize, kind: whole{1, math.MaxInt}}}
	inSection := map[string][]string{}
	for _, k := range keys {
		byName[k.name] = k
		if section, leaf, ok := strings.Cut(k.name, "."); ok {
			inSection[section] = append(inSection[section], leaf)
		}
	}
	return byName, inSection
}
