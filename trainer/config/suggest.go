package config

// "did you mean": known keys near an unknown one.

import (
	"slices"
	"strings"
)

// otherNames maps names that users of nanoGPT and of the Hugging Face Trainer know to ours.
var otherNames = map[string]string{
	"n_embd": "hidden_size", "n_layer": "num_layers", "n_head": "num_heads", "n_inner": "intermediate_size",
	"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads",
	"block_size": "max_position_embeddings", "n_positions": "max_position_embeddings", "n_ctx": "max_position_embeddings",
	"max_seq_length": "max_position_embeddings", "seq_length": "max_position_embeddings",
	"per_device_train_batch_size": "batch_size", "train_batch_size": "batch_size", "gradient_accumulation": "gradient_accumulation_steps",
	"lr": "learning_rate", "beta1": "adam_beta1", "beta2": "adam_beta2", "eps": "adam_epsilon", "grad_clip": "max_grad_norm",
	"lr_scheduler_type": "lr_schedule", "scheduler": "lr_schedule", "min_lr": "min_lr_ratio",
	"epochs": "num_epochs", "num_train_epochs": "num_epochs", "max_iters": "max_steps", "steps": "max_steps",
	"warmup_iters": "warmup_steps", "warmup": "warmup_steps", "bf16": "precision", "dtype": "precision",
	"eval_interval": "eval_steps", "save_interval": "save_steps", "log_interval": "logging_steps",
	"save_total_limit": "max_checkpoints", "out_dir": "output_dir", "output": "output_dir", "log_dir": "logging_dir",
	"resume_from_checkpoint": "resume", "model_name_or_path": "init_from", "dataset": "data.train", "train_file": "data.train",
	"validation_file": "data.eval", "vocab": "vocab_size",
}

// suggestKey is the known key that name, inside section or at the top, most likely stands for; "" if none is near.
func suggestKey(section, name string) string {
	lower := strings.ToLower(name)
	full := lower
	if section != "" {
		full = section + "." + lower
	}
	for _, candidate := range []string{full, lower, otherNames[lower]} {
		if _, ok := keyByName[candidate]; ok {
			return candidate
		}
	}
	for _, k := range keys { // the right name in the wrong section
		if leaf := k.name[strings.LastIndexByte(k.name, '.')+1:]; leaf == lower {
			return k.name
		}
	}
	names := make([]string, 0, len(keys)+len(sections))
	for _, k := range keys {
		names = append(names, k.name)
	}
	for s := range sections {
		names = append(names, s)
	}
	slices.Sort(names)
	if near := nearest(full, names); near != "" {
		return near
	}
	return nearest(lower, names)
}

// nearest is the candidate with the fewest edits from s, if those are few for its length.
func nearest(s string, candidates []string) string {
	best, fewest := "", 1+min(4, len(s)/3)
	for _, c := range candidates {
		if d := editDistance(s, c); c != "" && d < fewest {
			best, fewest = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // no key is this long
		return len(a) + len(b)
	}
	var d [65][65]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
