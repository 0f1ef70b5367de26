#!/usr/bin/env bash
# Does the order of the texts help? Curricula against the same texts mixed: docs/experiments/2026-11-24-curriculum.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train the same small GPT-2 on the same texts in six orders, three seeds each: on three graded texts (corpus/pt), and on four
Debian books divided by measured difficulty. About 25 minutes on two cores, three runs at once.

  scripts/experiments/curriculum.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/curriculum); DIR/page has the tables and the pictures
  -quick   a few steps, to see that it works

The same command goes on after an interruption. The books are fetched once, by scripts/fetch-corpus.sh.
END_OF_USAGE
}

begin curriculum "$@"
names=(debian-faq-pt debian-handbook debian-reference-pt installation-guide-pt)
books=
for name in "${names[@]}"; do
	[[ -d corpus/fetched/$name ]] || scripts/fetch-corpus.sh "$name" >&2
	books+="'corpus/fetched/$name/*.txt', "
done
root=$out
n=$(steps 600 6)

# Points of the piecewise schedule: nothing but one stage, then nothing but the next; or the stages one after another in the first
# half of the run and then all of them alike.
falling="[{step: 0, weights: [0, 0, 1]}, {step: $((n / 3 - 1)), weights: [0, 0, 1]}, {step: $((n / 3)), weights: [0, 1, 0]},
  {step: $((2 * n / 3 - 1)), weights: [0, 1, 0]}, {step: $((2 * n / 3)), weights: [1, 0, 0]}]"
opening="[{step: 0, weights: [1, 0, 0]}, {step: $((n / 6)), weights: [1, 1, 0]}, {step: $((n / 3)), weights: [0, 1, 1]}, {step: $((n / 2)), weights: [1, 1, 1]}]"
mixed='[{step: 0, weights: [1, 1, 1]}]'

# orders trains on the texts that its arguments say, in all orders; model_name is the order's label.
orders() {
	local run=(sweep -j 3 "seed=$(steps 1,2,3 1,2)") flags=(-- "$@" -set "max_steps=$n") schedule
	((!quick)) || flags+=(-set hidden_size=16 -set logging_steps=1 -set eval_steps=2 -set warmup_steps=1)
	mkdir -p "$out"
	"${run[@]}" model_name=mixed "${flags[@]}" -set curriculum.schedule=piecewise -set "curriculum.points=$mixed"
	for schedule in linear exp step; do
		"${run[@]}" "model_name=$schedule" "${flags[@]}" -set "curriculum.schedule=$schedule"
	done
	"${run[@]}" model_name=step-hard-to-easy "${flags[@]}" -set curriculum.schedule=piecewise -set "curriculum.points=$falling"
	"${run[@]}" model_name=easy-then-mixed "${flags[@]}" -set curriculum.schedule=piecewise -set "curriculum.points=$opening"
}

# show writes the tables and the pictures of $out into its first argument; the second says which texts they are of.
show() {
	local page=$1 labels=(mixed linear exp step step-hard-to-easy easy-then-mixed) label groups=() firsts=() all=()
	mkdir -p "$page"
	for label in "${labels[@]}"; do
		local runs=("$out/runs/model_name=$label,seed="*)
		all+=("${runs[@]}")
		firsts+=("${runs[0]}")
		groups+=("$label=$(IFS=';' && echo "${runs[*]}")")
	done
	{
		bin/lab setting "${firsts[0]}"
		printf '\n```text\n'
		sed -n '/curriculum: \(divided\|rows are drawn\)/,/ model: /p' "${firsts[1]}/train.log" | grep -v ' model: ' | cut -d ' ' -f 2- | sed 's/^INFO *//'
		printf '```\n\n'
		bin/report -over seed -markdown "${all[@]}"
		printf '\n'
		bin/lab milestones -steps "$(steps 100,200,400,600 2,4,6)" "${groups[@]}"
	} >"$page/table.md"
	bin/lab gaps -from "$(steps 50 2)" -title "Evaluation loss against mixed: $2" -o "$page/gaps.png" "${groups[@]}"
	for label in "${labels[@]}"; do
		bin/report -png "$page/$label" "$out/runs/model_name=$label,seed=1"
	done
	say "$page has the tables and the pictures"
}

out=$root/graded
orders -set "curriculum.stages=[{name: stories, data: [corpus/pt/01-historias.txt], difficulty: 1},
  {name: articles, data: [corpus/pt/02-artigos.txt], difficulty: 2}, {name: prose, data: [corpus/pt/03-prosa.txt], difficulty: 3}]"
show "$root/page/graded" "graded texts"

out=$root/books
orders -set "data.train=[${books%, }]" -set data.eval_fraction=0.04 -set "eval_steps=$(steps 100 2)" \
  -set curriculum.difficulty=auto -set curriculum.buckets=3
show "$root/page/books" "Debian books"
