#!/usr/bin/env bash
# Does a teacher help? A student distilled against the same student trained plainly: docs/experiments/2026-11-24-distillation.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train a teacher on the Debian handbook, then a student of an eighth of its size with and without it: from the text alone, with the
teacher's exact probabilities, from its cached ones, from the teacher alone, and from the text alone for as long as distilling takes;
three seeds each. About 40 minutes on two cores, two runs at once.

  scripts/experiments/distillation.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/distillation); DIR/page has the tables and the pictures
  -quick   a few steps, to see that it works

The same command goes on after an interruption. The text is fetched once, by scripts/fetch-corpus.sh.
END_OF_USAGE
}

begin distillation "$@"
corpus
bin/lab split -every 10 -train "$out/train.txt" -eval "$out/eval.txt" "$text"/*.txt
root=$out
n=$(steps 1000 4)
common=(-set "data.train=['$out/train.txt']" -set "data.eval=['$out/eval.txt']" -set "data.cache_dir=$out/cache")
((!quick)) || common+=(-set logging_steps=1 -set eval_steps=2 -set warmup_steps=1)

# sizes: the width, the blocks, and the heads of a model
sizes() { sizes=(-set "hidden_size=$1" -set "intermediate_size=$((4 * $1))" -set "num_layers=$2" -set "num_heads=$3"); }

sizes "$(steps 256 32)" 4 4
out=$root/teacher
mkdir -p "$out"
sweep model_name=teacher -- "${common[@]}" "${sizes[@]}" -set "max_steps=$(steps 2000 4)" -set dropout=0.2 -set learning_rate=1.5e-3
teacher=$out/runs/model_name=teacher

sizes "$(steps 96 16)" 2 4
out=$root/students
mkdir -p "$out"
# students LABEL FLAGS… trains one a seed; model_name is the label.
students() { sweep -j 2 "seed=$(steps 1,2,3 1,2)" "model_name=$1" -- "${common[@]}" "${sizes[@]}" "${@:2}"; }
distilled=(-set "max_steps=$n" -set distillation.enabled=true -set "distillation.teacher=$teacher/final_model")
students plain -set "max_steps=$n"
students distilled "${distilled[@]}"
students distilled-cache "${distilled[@]}" -set "distillation.cache=$root/cache/teacher"
students teacher-alone "${distilled[@]}" -set distillation.alpha=1
students plain-longer -set "max_steps=$((2 * n))"

page=$root/page
mkdir -p "$page"
labels=(plain distilled distilled-cache teacher-alone plain-longer) all=() groups=()
for label in "${labels[@]}"; do
	runs=("$out/runs/model_name=$label,seed="*)
	all+=("${runs[@]}")
	[[ $label == plain-longer ]] || groups+=("$label=$(IFS=';' && echo "${runs[*]}")")
done
{
	bin/lab setting "$teacher"
	bin/lab setting "${all[0]}"
	printf '\n'
	bin/report -over seed -markdown "$teacher" "${all[@]}"
	printf '\n'
	bin/lab milestones -steps "$(steps 200,500,1000 2,4)" "${groups[@]}"
} >"$page/table.md"
bin/lab gaps -from "$(steps 100 2)" -title 'Evaluation loss against the student without a teacher' -o "$page/gaps.png" "${groups[@]}"
say "$page has the tables and the pictures"
