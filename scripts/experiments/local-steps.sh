#!/usr/bin/env bash
# What does it cost to synchronise seldom? docs/experiments/2026-11-30-local-steps.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train the same small GPT-2 by two and by four processes that synchronise at every update, every 10 and every 50 (local_steps) with three
outer steps, and by one alone, which sees a half of the rows of two; three seeds each. About an hour on two cores.

  scripts/experiments/local-steps.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/local-steps); DIR/page has the table and the picture
  -quick   a few steps, to see that it works

The same command goes on after an interruption.
END_OF_USAGE
}

begin local-steps "$@"
n=$(steps 600 4)
between=$(steps '10 50' 2)
every=$(steps 50 4)
seeds=$(steps '1 2 3' '1')

# together trains a number of processes with local_steps, the outer step's rate and momentum, and a seed.
together() {
	local name how=()
	name=$(IFS=- && echo "$*")
	local dir=$out/runs/$name
	[[ -e $dir/final_model/model.safetensors ]] && return
	(($1 == 1)) || how=(-nproc "$1")
	say "$name: started"
	mkdir -p "$out/runs"
	bin/train -config "scripts/experiments/$experiment.yaml" "${how[@]}" -set "local_steps=$2" -set "outer_learning_rate=$3" -set "outer_momentum=$4" -set "seed=$5" \
		-set "max_steps=$n" -set "eval_steps=$every" -set "output_dir=$dir" -set "logging_dir=$dir/logs" 2>"$dir.log" || die "$dir.log says why" $?
}

groups=()
group() {
	local label=$1 list='' seed
	shift
	for seed in $seeds; do
		together "$@" "$seed"
		list+=";$out/runs/$(IFS=- && echo "$*")-$seed"
	done
	groups+=("$label=${list:1}")
}

for processes in 2 4; do
	group "$processes processes, every update" "$processes" 0 0.7 0.5
	for h in $between; do
		group "$processes, every $h: the mean of the weights" "$processes" "$h" 1 0
		group "$processes, every $h: rate 0.7, momentum 0.5" "$processes" "$h" 0.7 0.5
		group "$processes, every $h: rate 0.7, momentum 0.9" "$processes" "$h" 0.7 0.9
	done
done
group '1 process' 1 0 0.7 0.5

page=$out/page
mkdir -p "$page"
{
	bin/lab setting "$out/runs/2-0-0.7-0.5-1"
	printf '\n### Evaluation loss\n\n'
	bin/lab milestones -steps "$(steps 50,100,200,300,400,500,600 4)" "${groups[@]}"
} >"$page/table.md"
shown=() # the mean of the weights lies beside momentum 0.5
for g in "${groups[@]::$(steps 7 4)}" "${groups[-1]}"; do
	[[ $g == *mean* ]] || shown+=("$g")
done
bin/lab curves -groups -title 'Evaluation loss by how often two processes synchronise' -tags eval/loss -top 3.2 -o "$page/eval.png" "${shown[@]}"
say "$page has the table and the picture"
