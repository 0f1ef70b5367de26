#!/usr/bin/env bash
# What the scripts of the experiments share; they source it. docs/experiments/README.md is the lab notebook.
set -euo pipefail
export LC_ALL=C

say() { printf '%s: %s\n' "$experiment" "$*" >&2; }
die() {
	say "$1"
	exit "${2:-2}"
}

# begin takes the experiment's name and the script's arguments, goes to the root of the project, and sets $out, where everything
# goes, and $quick, which is 1 where the steps are to be few.
begin() {
	experiment=$1 out='' quick=0
	shift
	while (($#)); do
		case $1 in
		-h | -help | --help) usage && exit 0 ;;
		-quick | --quick) quick=1 ;;
		-o)
			(($# > 1)) || die '-o: a directory is missing'
			out=$2
			shift
			;;
		*) die "$1: no such flag (-help lists them)" ;;
		esac
		shift
	done
	[[ -z $out || $out == /* ]] || out=$PWD/$out
	cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
	if [[ -z $out ]]; then
		out=output/experiments/$experiment
		((!quick)) || out+=-quick
	fi
	mkdir -p -- "$out" || die "$out: cannot be made" 1
	build
}

# build makes the programs. Those without libtorch take a moment and are made anew each time; bin/train only where it is absent.
build() {
	if [[ ! -x bin/train ]]; then
		say 'building bin/train'
		make -s build || die 'bin/train could not be built' 1
	fi
	CGO_ENABLED=0 go build -o bin/ ./cmd/report ./scripts/experiments/lab || die 'bin/report and bin/lab could not be built' 1
}

# steps is its first argument, or its second with -quick.
steps() {
	if ((quick)); then echo "$2"; else echo "$1"; fi
}

# sweep trains as scripts/sweep.sh does, whose arguments it takes, with the experiment's configuration and into $out. A run that
# fails ends the experiment, unless $divergence is "allowed" and its loss or gradient was not finite (exit code 4). What the sweep prints
# at its end is for the page's own tables to say.
sweep() {
	local code=0 failed
	scripts/sweep.sh -config "scripts/experiments/$experiment.yaml" -o "$out" "$@" >"$out/sweep.log" || code=$?
	((code == 0)) && return
	failed=$(grep '^failed' "$out/sweep.log" || true)
	if [[ ${divergence-} == allowed && -n $failed ]] && ! grep -qv '(exit code 4)' <<<"$failed"; then
		return
	fi
	[[ -z $failed ]] || printf '%s\n' "$failed" >&2
	die "the sweep ended with exit code $code; the same command goes on" "$code"
}

# corpus puts the Debian handbook's directory into $text, fetched if it is absent.
corpus() {
	text=corpus/fetched/debian-handbook
	[[ -d $text ]] || scripts/fetch-corpus.sh debian-handbook "$text" >&2
}
