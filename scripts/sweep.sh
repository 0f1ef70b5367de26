#!/usr/bin/env bash
# Trains once for each combination of values, goes on after an interruption where it stood, and ends with a report.
# docs/sweeps.md explains it with an example.
set -uo pipefail
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
	echo 'sweep: bash 4.4 or newer is needed' >&2
	exit 1
fi
export LC_ALL=C

usage() {
	cat <<'END'
Train once for each combination of values.

  scripts/sweep.sh -config FILE -o DIR [-j N] [-dry-run] key=value,value… … [-- flags of train]

  scripts/sweep.sh -config configs/demo-pt.yaml -o output/sweep learning_rate=1e-3,2e-3,4e-3 batch_size=4,8
  scripts/sweep.sh -config configs/demo-pt.yaml -o output/sweep seed=1,2,3 -j 2 -- -set max_steps=100

  -config FILE   the configuration that all runs share
  -o DIR         where everything goes: DIR/runs/NAME, DIR/logs/NAME, DIR/report.html
  -j N           runs at once (default 1); each gets its part of the processors where threads is 0
  -dry-run       list the runs and their state; start nothing
  key=value,…    a key of the configuration and its values, as after train's -set. A comma inside [], {} or quotes belongs to
                 the value: data.train=[a.txt,b.txt],[c.txt] are two
  -- flags       for every run: -set key=value, -resume never

The same command goes on after an interruption: complete runs are skipped, others resume from their checkpoints, failed ones
are tried again. More values, or another config, add runs or go on with those that are there. The first Ctrl-C or SIGTERM
lets the runs save a checkpoint; a second one stops them at once.

Programs: bin/train and bin/report, built if they are absent; the variables TRAIN and REPORT name others.
Exit codes: 0 all runs complete; 1 a run is not; 2 bad usage; 129, 130, 143 interrupted by SIGHUP, SIGINT, SIGTERM.
END
}

say() {
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	printf 'sweep: %s\n' "$*" >&2
}
die() {
	say "$1"
	exit "${2:-2}"
}

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 1
root=$(dirname -- "$here")
config='' out='' jobs=1 dry=0
keys=()   # sorted by name
flags=()  # train's, for every run
runs=()   # names, in the order in which they start
declare -A values=()    # key → its values, a newline behind each
declare -A settings=()  # run → its key=value settings, a newline behind each
declare -A pid_of=() attempt_of=()   # of the runs at work: process, and what identifies the attempt
signal='' caught=0       # the first that arrived; whether one has since the last look

# parse reads the command line.
parse() {
	while (($#)); do
		case $1 in
		-h | -help | --help) usage && exit 0 ;;
		-config | --config | -o | -j)
			(($# > 1)) || die "$1: a value is missing (-help lists the flags)"
			case $1 in
			-o) out=$2 ;;
			-j) jobs=$2 ;;
			*) config=$2 ;;
			esac
			shift
			;;
		-dry-run | --dry-run) dry=1 ;;
		--)
			flags=("${@:2}")
			break
			;;
		-*) die "$1: no such flag (-help lists them)" ;;
		*=*) add_key "$1" ;;
		*) die "$1: want key=value,value… (-help shows examples)" ;;
		esac
		shift
	done
}

# add_key takes key=value,value…
add_key() {
	local key=${1%%=*}
	[[ $key =~ ^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$ ]] || die "$key: not a key of the configuration"
	[[ $key != output_dir && $key != logging_dir ]] || die "$key: each run gets its own, below -o"
	[[ -z ${values[$key]-} ]] || die "$key: given twice; put all values into one list"
	split "${1#*=}" || die "$key: ${1#*=}: a quote or a bracket is not closed"
	local value
	for value in "${parts[@]}"; do
		[[ -n $value && $value != *$'\n'* ]] || die "$key: ${1#*=}: a value is empty or has a line break; \"\" is the empty text"
	done
	[[ -z $(printf '%s\n' "${parts[@]}" | sort | uniq -d) ]] || die "$key: ${1#*=}: a value is there twice"
	values[$key]=$(printf '%s\n' "${parts[@]}")
}

# split cuts its argument at the commas outside of quotes and brackets, into parts.
split() {
	local text=$1 part='' quote='' depth=0 i c
	parts=()
	for ((i = 0; i < ${#text}; i++)); do
		c=${text:i:1}
		if [[ -n $quote ]]; then
			[[ $c == "$quote" ]] && quote=''
		elif [[ $c == [\"\'] && (-z $part || $depth -gt 0) ]]; then # an apostrophe inside a word is one
			quote=$c
		elif [[ $c == [\[\{] ]]; then
			((depth++))
		elif [[ $c == [\]\}] ]]; then
			((depth--))
		elif [[ $c == , ]] && ((depth == 0)); then
			parts+=("$part")
			part=''
			continue
		fi
		part+=$c
	done
	parts+=("$part")
	[[ -z $quote ]] && ((depth == 0))
}

check() {
	[[ -n $config ]] || die '-config is missing (-help lists the flags)'
	[[ -r $config && ! -d $config ]] || die "-config: $config: no such file"
	out=${out%/}
	[[ -n $out ]] || die '-o is missing: the directory of the sweep'
	((${#values[@]})) || die 'nothing to sweep over: want key=value,value…'
	[[ $jobs =~ ^[1-9][0-9]{0,2}$ ]] || die "-j: $jobs: want a number of runs, 1 or more"
	command -v flock >/dev/null || die 'flock is missing: install util-linux' 1
	local flag
	for flag in "${flags[@]}"; do
		case $flag in
		-config | --config | -dry-run | --dry-run | -print-config | --print-config | -version | --version | -h | -help | --help)
			die "-- $flag: not in a sweep; behind -- come -set and -resume"
			;;
		esac
	done
	mapfile -t keys < <(printf '%s\n' "${!values[@]}" | sort)
}

# combine makes a run of each combination; the values of the last key change first.
combine() {
	local -a names=('') lists=('')
	local key value part i
	for key in "${keys[@]}"; do
		local -a longer=() lengthened=()
		for i in "${!names[@]}"; do
			while IFS= read -r value; do
				part=$key=$(safe "$value")
				longer+=("${names[i]:+${names[i]},}$part")
				lengthened+=("${lists[i]}$key=$value"$'\n')
			done <<<"${values[$key]}"
		done
		names=("${longer[@]}") lists=("${lengthened[@]}")
	done
	for i in "${!names[@]}"; do
		part=${names[i]}
		((${#part} <= 180)) || part=${part:0:160}~$(checksum "$part") # file systems end a name at 255 bytes
		runs+=("$part")
		settings[$part]=${lists[i]}
	done
}

# safe is a value as a part of a file's name: whatever is not plain is left out, and a checksum tells such values apart.
safe() {
	local plain=${1//[^A-Za-z0-9._+-]/_}
	if [[ $plain == "$1" ]] && ((${#plain} <= 60)); then
		printf '%s' "$plain"
	else
		printf '%s~%s' "${plain:0:40}" "$(checksum "$1")"
	fi
}

checksum() { printf '%s' "$1" | cksum | cut -d ' ' -f 1; }

# yaml writes a text as YAML, as train's -set reads it.
yaml() { printf "'%s'" "${1//\'/\'\'}"; }

# arguments puts what train gets for a run into args. The run's own settings are the last, and win.
arguments() {
	local name=$1 setting
	args=(-config "$config" "${flags[@]}")
	while IFS= read -r setting; do args+=(-set "$setting"); done <<<"${settings[$name]%$'\n'}"
	args+=(-set "output_dir=$(yaml "$out/runs/$name")" -set "logging_dir=$(yaml "$out/logs/$name")")
}

# attempt identifies what a run was asked to do, so that a complete one is called again if that changes.
attempt() {
	arguments "$1"
	{ printf '%s\n' "${args[@]}" && cat -- "$config"; } | cksum | cut -d ' ' -f 1
}

# state_of puts the state of a run into state (new, complete, interrupted, failed), its exit code into code and its attempt
# into tried.
state_of() {
	state=new code=0 tried=''
	[[ ! -s $out/state/$1 ]] || read -r state code tried <"$out/state/$1"
}

# set_state writes beside and renames: a kill leaves the old state or the new one.
set_state() {
	local file=$out/state/$1
	if ! { printf '%s %s %s\n' "$2" "$3" "$4" >"$file.new" && mv -f -- "$file.new" "$file"; }; then
		die "$file: cannot be written" 1
	fi
}

# find_program puts a program's path into the variable that is named: what the user's variable says, or what is in bin/, which is
# built if it is absent.
find_program() {
	local -n found=$1
	local name=$2
	if [[ -n $found ]]; then
		command -v -- "$found" >/dev/null || die "${1^^}: $found: no such program"
		return
	fi
	found=$root/bin/$name
	if [[ ! -x $found ]]; then
		say "building bin/$name"
		(cd -- "$root" && go build -o bin/ "./cmd/$name") || die "cmd/$name could not be built" 1
	fi
}

# check_keys has train read the first run's settings: a key that it does not know would fail every run.
check_keys() {
	local complaint
	arguments "${runs[0]}"
	complaint=$("$train" "${args[@]}" -print-config 2>&1 >/dev/null) || [[ $complaint != *'unknown key'* ]] || die "${complaint#train: }"
}

# start begins a run in a process group of its own, so that a Ctrl-C reaches it from here alone, once.
start() {
	local name=$1
	attempt_of[$name]=$(attempt "$name")
	arguments "$name"
	set_state "$name" interrupted 0 "${attempt_of[$name]}"
	set -m
	"$train" "${args[@]}" </dev/null >"$out/state/$name.log" 2>&1 &
	pid_of[$name]=$!
	set +m
	say "$(number_of "$name") $name: started"
}

number_of() {
	local i
	for i in "${!runs[@]}"; do
		[[ ${runs[i]} == "$1" ]] && printf '[%d/%d]' $((i + 1)) ${#runs[@]}
	done
}

# finish takes note of how a run ended.
finish() {
	local name=$1 code again
	wait "${pid_of[$name]}" 2>/dev/null
	code=$?
	while ((caught)); do # a signal ended the waiting: then that was its code
		caught=0
		wait "${pid_of[$name]}" 2>/dev/null
		again=$?
		((again == 127)) || code=$again # 127: it had been the run's after all
	done
	unset "pid_of[$name]"
	case $code in
	0) set_state "$name" complete 0 "${attempt_of[$name]}" && say "$(number_of "$name") $name: complete" ;;
	129 | 130 | 143) set_state "$name" interrupted $code - && say "$(number_of "$name") $name: interrupted; it goes on from its checkpoint" ;;
	*) set_state "$name" failed $code - && say "$(number_of "$name") $name: failed (exit code $code): $(last_line "$name")" ;;
	esac
}

last_line() {
	local line
	line=$(tail -n 1 -- "$out/state/$1.log" 2>/dev/null | cut -c 1-300)
	printf '%s' "${line#train: }"
}

# reap waits until fewer runs than its argument are at work.
reap() {
	local name
	while ((${#pid_of[@]} >= $1 && ${#pid_of[@]} > 0)); do
		for name in "${!pid_of[@]}"; do
			kill -0 "${pid_of[$name]}" 2>/dev/null || finish "$name"
		done
		((${#pid_of[@]} < $1)) || { show && sleep 0.2; }
	done
}

# show tells on a terminal, in one line, what the runs said last.
show() {
	[[ -t 2 ]] || return 0
	local name line=''
	for name in "${!pid_of[@]}"; do line+="$name  $(last_line "$name")   "; done
	printf '\r\033[K%s' "${line:0:${COLUMNS:-80}-1}" >&2
}

# on_signal passes a signal on to the runs, and keeps new ones from starting.
# shellcheck disable=SC2317 # main's traps call it
on_signal() {
	local name
	caught=1
	if [[ -z $signal ]]; then
		signal=$1
		((${#pid_of[@]} == 0)) || say "SIG$1: the runs are saving a checkpoint; once more stops them at once"
	fi
	for name in "${!pid_of[@]}"; do kill -s "$1" "${pid_of[$name]}" 2>/dev/null; done
}

# list shows what would happen.
list() {
	local name
	for name in "${runs[@]}"; do
		state_of "$name"
		[[ $state != complete || $tried == "$(attempt "$name")" ]] || state='complete, to go on'
		printf '%s: %s\n' "$name" "$state"
		while IFS= read -r setting; do printf '    -set %s\n' "$setting"; done <<<"${settings[$name]%$'\n'}"
	done
}

# summary prints the table of runs, then those that failed, and writes the report.
summary() {
	local name
	local -a with=()
	for name in "${runs[@]}"; do
		[[ -s $out/runs/$name/metrics.jsonl ]] && with+=("$out/runs/$name")
	done
	if ((${#with[@]})); then
		"$report" -- "${with[@]}" || say 'the table could not be made'
		[[ -n $signal ]] || "$report" -o "$out/report.html" -title "Sweep over ${keys[*]}" -- "${with[@]}" || failures=1
	fi
	for name in "${runs[@]}"; do
		state_of "$name"
		[[ $state == complete ]] || failures=1
		[[ $state != failed ]] || printf 'failed: %s (exit code %s): %s\n' "$name" "$code" "$(last_line "$name")"
	done
}

main() {
	parse "$@"
	check
	combine
	if ((dry)); then
		list
		exit 0
	fi
	train=${TRAIN-} report=${REPORT-}
	find_program train train
	find_program report report
	check_keys
	mkdir -p -- "$out/runs" "$out/logs" "$out/state" 2>/dev/null || die "$out: cannot be made" 1
	# The runs inherit the lock: it is held until the last of them has ended, even if this script is killed.
	exec 9>"$out/state/lock" || die "$out/state/lock: cannot be written" 1
	flock -n 9 || die "$out: another sweep, or a run that one left, is at work in it" 1
	local name s processors
	processors=$(nproc)
	((jobs == 1)) || export OMP_NUM_THREADS=$((processors > jobs ? processors / jobs : 1)) # libtorch's choice where threads is 0
	for s in HUP INT TERM; do
		# shellcheck disable=SC2064 # $s is meant to be the signal of now
		trap "on_signal $s" "$s"
	done
	for name in "${runs[@]}"; do
		state_of "$name"
		if [[ $state == complete && $tried == "$(attempt "$name")" ]]; then
			say "$(number_of "$name") $name: complete already"
			continue
		fi
		reap "$jobs"
		[[ -z $signal ]] || break
		start "$name"
	done
	reap 1
	failures=0
	summary
	case $signal in
	HUP) exit 129 ;;
	INT) exit 130 ;;
	TERM) exit 143 ;;
	esac
	exit "$failures"
}

main "$@"
