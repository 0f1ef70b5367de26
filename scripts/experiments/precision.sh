#!/usr/bin/env bash
# With and without mixed precision: docs/experiments/2026-11-24-precision.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train in fp32, bf16 and fp16: a tiny model with three seeds each for the losses, the demo's for a few steps in three rounds for
speed and memory, and a still smaller one in fp16 for long enough that its loss scale grows. About 6 minutes, one run at a time,
on one core.

  scripts/experiments/precision.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/precision); DIR/page has the tables and the pictures
  -quick   a few steps, to see that it works

The same command goes on after an interruption. DEVICE=cuda runs it on a graphics card.
END_OF_USAGE
}

begin precision "$@"
flags=(-set "device=${DEVICE:-cpu}")
((!quick)) || flags+=(-set data.eval_fraction=0.001)

# The losses.
sweep seed=1,2,3 precision=fp32,bf16,fp16 -- "${flags[@]}" -set "max_steps=$(steps 150 4)" -set "eval_steps=$(steps 25 2)"

# Speed and memory, at the demo's size; the second round in reverse order.
demo="batch_size=8 hidden_size=$(steps 192 24) intermediate_size=$(steps 768 48) max_position_embeddings=128 max_steps=$(steps 10 2) num_heads=4 num_layers=4"
rounds=$(steps '1 2 3' '1')
for round in $rounds; do
	order='fp32 bf16 fp16'
	((round % 2)) || order='fp16 bf16 fp32'
	for precision in $order; do
		# shellcheck disable=SC2086 # the settings are words
		sweep $demo "precision=$precision" "seed=$round" -- "${flags[@]}" -set eval_steps=1000
	done
done
floor='batch_size=1 hidden_size=8 intermediate_size=8 max_position_embeddings=16 max_steps=2 num_heads=1 num_layers=1 precision=fp32'
# shellcheck disable=SC2086
sweep $floor -- "${flags[@]}" -set eval_steps=1000

# The loss scale: it is doubled after 2000 updates in a row that were fine.
long="batch_size=4 hidden_size=32 intermediate_size=128 max_position_embeddings=16 max_steps=$(steps 4500 4) num_heads=2 num_layers=1 precision=fp16"
# shellcheck disable=SC2086
sweep $long -- "${flags[@]}" -set "eval_steps=$(steps 500 2)"

# directory prints where sweep.sh puts the run of some settings, given in the order of their keys.
directory() { printf '%s/runs/%s' "$out" "${*// /,}"; }

page=$out/page
mkdir -p "$page"
small=() timed=() scaled=()
for precision in fp32 bf16 fp16; do
	seeds='' list=''
	for seed in 1 2 3; do
		seeds+=";$(directory "precision=$precision,seed=$seed")"
		scaled+=("$precision, seed $seed=$(directory "precision=$precision,seed=$seed")")
		((quick && seed > 1)) || list+=";$(directory "$demo,precision=$precision,seed=$seed")"
	done
	small+=("$precision=${seeds:1}")
	timed+=("$precision=${list:1}")
done
floor=$(directory "$floor")
long=$(directory "$long")
{
	bin/lab setting "$(directory precision=fp32,seed=1)"
	printf '\n### Losses of the tiny model\n\n'
	bin/lab ratios -floor "$floor" "${small[@]}"
	printf '\n### Speed and memory of the demo'\''s model\n\n'
	bin/lab ratios -floor "$floor" "${timed[@]}"
	printf '\n### The loss scale\n\n'
	bin/lab scales "${scaled[@]}" "1 layer × 32, fp16=$long"
} >"$page/table.md"
bin/lab curves -groups -title 'Evaluation loss, three seeds each' -tags eval/loss -top 3.4 -o "$page/eval.png" "${small[@]}"
bin/lab curves -title 'Loss scale of the long run in fp16' -label 'loss scale' -groups -tags train/loss_scale -o "$page/loss_scale.png" "1 layer × 32, fp16=$long"
say "$page has the tables and the pictures"
