#!/usr/bin/env bash
# Hyperparameters against memory and speed: docs/experiments/2026-11-24-hyperparameters.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train a small GPT-2 for a short while with one thing changed at a time: batch × accumulation, sequence length, gradient
checkpointing, precision, layers, width. What each costs in memory and time. About 15 minutes, one run at a time, on one core.

  scripts/experiments/hyperparameters.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/hyperparameters); DIR/page has the tables and the picture
  -quick   few steps of tiny models, to see that it works

Three rounds, each with another seed, the second in reverse order, so that what else the machine does falls on all alike.
The same command goes on after an interruption.
END_OF_USAGE
}

begin hyperparameters "$@"
corpus
flags=(-set "data.train=['$text/*.txt']")
((!quick)) || flags+=(-set max_steps=2 -set max_position_embeddings=32)

# names and what each changes. The first of a factor's table is always the base.
names=() changes=()
setup() {
	names+=("$1")
	changes+=("$2")
}
setup 'base' ''
setup 'batch 4 × 2' 'batch_size=4 gradient_accumulation_steps=2'
setup 'batch 2 × 4' 'batch_size=2 gradient_accumulation_steps=4'
setup 'batch 1 × 8' 'batch_size=1 gradient_accumulation_steps=8'
if ((!quick)); then
	setup 'length 64 (batch 32)' 'max_position_embeddings=64 batch_size=32'
	setup 'length 128 (batch 16)' 'max_position_embeddings=128 batch_size=16'
	setup 'length 512 (batch 4)' 'max_position_embeddings=512 batch_size=4'
	setup 'checkpointing' 'gradient_checkpointing=true'
	setup 'bf16' 'precision=bf16'
	setup 'bf16 + checkpointing' 'precision=bf16 gradient_checkpointing=true'
	setup '2 layers' 'num_layers=2'
	setup '8 layers' 'num_layers=8'
	setup 'width 128' 'hidden_size=128 intermediate_size=512'
	setup 'width 384' 'hidden_size=384 intermediate_size=1536'
fi
# What a process needs before its model: libtorch, the program, the text's tokens.
floor='hidden_size=8 num_layers=1 num_heads=1 intermediate_size=8 max_position_embeddings=16 batch_size=1'

rounds=$(steps '1 2 3' '1')
for round in $rounds; do
	mapfile -t order < <(seq 0 $((${#names[@]} - 1)))
	((round % 2)) || mapfile -t order < <(seq $((${#names[@]} - 1)) -1 0)
	for i in "${order[@]}"; do
		say "round $round: ${names[i]}"
		# shellcheck disable=SC2086 # the settings are words
		sweep ${changes[i]} "seed=$round" -- "${flags[@]}"
	done
done
# shellcheck disable=SC2086
sweep $floor seed=1 -- "${flags[@]}"
# The losses of batch × accumulation once more, at a rate at which rounding is not magnified.
for i in 0 1 2 3; do
	# shellcheck disable=SC2086
	sweep learning_rate=3e-4 ${changes[i]} seed=1 -- "${flags[@]}"
done

# run_of prints a run's directory: sweep.sh names it by its settings, sorted by key.
run_of() {
	local sorted
	# shellcheck disable=SC2086 # the settings are words
	sorted=$(printf '%s\n' $1 "seed=$2" | sort | paste -sd ,)
	printf '%s/runs/%s' "$out" "$sorted"
}

# group prints what bin/lab takes for a setup: its name and its runs.
group() {
	local round list=''
	for round in $rounds; do list+=";$(run_of "${changes[$1]}" "$round")"; done
	printf '%s=%s' "${names[$1]}" "${list:1}"
}

# The memory by part that -dry-run plans, for each setup.
mkdir -p "$out/plans" "$out/page"
plans=()
for i in "${!names[@]}"; do
	plan="$out/plans/$i.txt"
	if [[ ! -s $plan ]]; then
		settings=()
		for s in ${changes[i]}; do settings+=(-set "$s"); done
		bin/train -config scripts/experiments/hyperparameters.yaml -dry-run "${flags[@]}" "${settings[@]}" >"$plan.new" 2>/dev/null ||
			die "-dry-run of ${names[i]} failed" 1
		mv "$plan.new" "$plan"
	fi
	plans+=("${names[i]}=$plan")
done

floor_run=$(run_of "$floor" 1)
tables=('Batch × accumulation:0 1 2 3')
((quick)) || tables+=('Sequence length:0 4 5 6' 'Gradient checkpointing and precision:0 7 8 9' 'Layers:0 10 11' 'Width:0 12 13')
{
	bin/lab setting "$(run_of '' 1)"
	for t in "${tables[@]}"; do
		printf '\n### %s\n\n' "${t%%:*}"
		groups=()
		for i in ${t#*:}; do groups+=("$(group "$i")"); done
		bin/lab ratios -floor "$floor_run" "${groups[@]}"
	done
	printf '\n### The plan by part\n\n'
	bin/lab plans "${plans[@]}"
	printf '\n### The losses of batch × accumulation, step by step\n\n'
	bin/lab losses -steps "$(steps 1,2,5,10,20 1,2)" "$(group 0)" "$(group 1)" "$(group 2)" "$(group 3)"
	printf '\n### The same at a rate of 3e-4\n\n'
	groups=()
	for i in 0 1 2 3; do groups+=("${names[i]}=$(run_of "${changes[i]} learning_rate=3e-4" 1)"); done
	bin/lab losses -steps "$(steps 1,2,5,10,20 1,2)" "${groups[@]}"
} >"$out/page/table.md"
all=()
for i in "${!names[@]}"; do all+=("$(group "$i")"); done
bin/lab ratios -floor "$floor_run" -o "$out/page/ratios.png" "${all[@]}" >/dev/null
say "$out/page has the tables and the picture"
