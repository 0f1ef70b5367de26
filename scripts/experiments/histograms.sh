#!/usr/bin/env bash
# Gradients and weights watched while the rate rises too far: docs/experiments/2026-11-24-histograms.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train a tiny GPT-2 at three rates, one that works and two that do not, with and without clipping, with histograms of all weights
and gradients every 5 steps. About 6 minutes on two cores, two runs at once.

  scripts/experiments/histograms.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/histograms); DIR/page has the tables and the pictures
  -quick   a few steps, to see that it works

The same command goes on after an interruption. A run that ended because its gradient was infinite is made again.
END_OF_USAGE
}

begin histograms "$@"
flags=()
((!quick)) || flags=(-set max_steps=12 -set hidden_size=16 -set intermediate_size=32 -set num_layers=4 -set eval_steps=6)
divergence=allowed sweep -j 2 learning_rate=2e-3,3e-2,3e-1 max_grad_norm=1,0 -- "${flags[@]}"

page=$out/page
mkdir -p "$page"
names=()
for rate in 2e-3 3e-2 3e-1; do
	for clip in 1 0; do names+=("learning_rate=$rate,max_grad_norm=$clip"); done
done
runs=("${names[@]/#/$out/runs/}")
logs=("${names[@]/#/$out/logs/}")
steps=$(steps 5,15,30,50,100,200,300,400 5,10)
parts=transformer.wte,transformer.h.0.attn.c_attn,transformer.h.0.mlp.c_fc,transformer.h.3.mlp.c_proj,transformer.ln_f
{
	bin/lab setting "${runs[0]}"
	printf '\n'
	bin/report -markdown "${runs[@]}"
	for kind in gradients weights; do
		printf '\n### Root mean square of %s\n\n' "$kind"
		bin/lab spread -kind "$kind" -parts "$parts" -steps "$steps" "${logs[0]}" "${logs[3]}" "${logs[5]}"
	done
	printf '\n### From which step on it could have been seen\n\n'
	bin/lab alarms -runs "$out/runs" -logs "$out/logs" "${names[@]}"
} >"$page/table.md"
bin/lab curves -title 'Training loss' -tags train/loss -top 8 -o "$page/loss.png" "${runs[0]}" "${runs[3]}" "${runs[4]}" "${runs[5]}"
bin/lab curves -title 'Gradient norm before clipping' -label norm -log -tags train/grad_norm -o "$page/grad_norm.png" "${runs[0]}" "${runs[3]}" "${runs[4]}" "${runs[5]}"
tags=transformer.wte.weight,transformer.h.0.attn.c_attn.weight,transformer.h.0.mlp.c_fc.weight,transformer.ln_f.weight
bin/lab histograms -o "$page/gradients.png" -low -10 -high 2 -tags "gradients/${tags//,/,gradients/}" "${logs[0]}" "${logs[5]}"
bin/lab histograms -o "$page/weights.png" -low -5 -high 1 -tags "weights/${tags//,/,weights/}" "${logs[0]}" "${logs[5]}"
say "$page has the tables and the pictures"
