#!/usr/bin/env bash
# A small model trained on a real book in Portuguese: docs/experiments/2026-11-24-portuguese.md
set -euo pipefail
# shellcheck source=scripts/experiments/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<'END_OF_USAGE'
Train a small GPT-2 on the Debian handbook in Brazilian Portuguese: tokens, with and without dropout, or bytes. About 20 minutes
on two cores, two runs at once.

  scripts/experiments/portuguese.sh [-o DIR] [-quick]

  -o DIR   where everything goes (output/experiments/portuguese); DIR/page has the tables, the samples and the pictures
  -quick   a few steps, to see that it works

The same command goes on after an interruption. The text is fetched once, by scripts/fetch-corpus.sh.
END_OF_USAGE
}

begin portuguese "$@"
corpus
bin/lab split -every 10 -train "$out/train.txt" -eval "$out/eval.txt" "$text"/*.txt

flags=(-set "data.train=['$out/train.txt']" -set "data.eval=['$out/eval.txt']" -set "max_steps=$(steps 2000 4)")
((!quick)) || flags+=(-set eval_steps=2 -set monitoring.sample_steps=2 -set monitoring.max_length=12 -set hidden_size=32 -set logging_steps=1)
sweep -j 2 tokenizer.type=bpe dropout=0,0.2 -- "${flags[@]}" -set tokenizer.vocab_size=2048
sweep tokenizer.type=byte dropout=0 -- "${flags[@]}" -set "monitoring.max_length=$(steps 120 12)" # a token is a byte here

page=$out/page
mkdir -p "$page"
bpe=$out/runs/dropout=0,tokenizer.type=bpe
all=("$bpe" "$out/runs/dropout=0.2,tokenizer.type=bpe" "$out/runs/dropout=0,tokenizer.type=byte")
{
	bin/lab setting "$bpe"
	printf '\n'
	bin/report -markdown "${all[@]}"
	printf '\n'
	bin/lab overfitting "${all[@]}"
	printf '\n'
	bin/lab baselines -train "$out/train.txt" -eval "$out/eval.txt"
} >"$page/table.md"
bin/lab samples -text "$out/train.txt" -steps "$(steps 100,1000,2000 2,4)" "${all[@]}" >"$page/samples.md"
bin/lab curves -title 'Bits per byte of the held-out text' -label 'bits per byte' -tags eval/bits_per_byte -top 4 -o "$page/bits_per_byte.png" "${all[@]}"
bin/lab curves -title 'Training (thin) and evaluation loss, bpe' -tags train/loss,eval/loss -o "$page/overfitting.png" "${all[@]:0:2}"
say "$page has the tables and the pictures"
