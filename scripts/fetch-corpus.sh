#!/usr/bin/env bash
# Brings a larger free text for training, by package name, and turns it into clean .txt files, one a chapter:
#
#   scripts/fetch-corpus.sh                                  # the names known
#   scripts/fetch-corpus.sh debian-handbook                  # into corpus/fetched/debian-handbook/
#   scripts/fetch-corpus.sh debian-reference-pt ~/texts/ref  # into a directory of one's own
#
# Then, in a config:  data: {train: ["corpus/fetched/debian-handbook/*.txt"]}
#
# The texts are Debian packages, so it runs where apt is (Debian, Ubuntu and theirs), without root and without
# installing anything; Go turns the HTML into text. The licence and a NOTICE lie beside the text: they are not this
# project's, and models trained on them may fall under them. DEST appears when all is done, whole; an interrupted run
# leaves at most a hidden directory, which the next one removes. A DEST that is already there is left as it is.
set -euo pipefail

# name, package, the book's index in it, htmltext's options, what it is
books=(
  "debian-handbook|debian-handbook|usr/share/doc/debian-handbook/html/pt-BR/index.html|-drop-english|O Manual do(a) Administrador(a) Debian, Brazilian Portuguese, 0.8 MB, CC BY-SA 3.0 or GPL-2+"
  "debian-handbook-en|debian-handbook|usr/share/doc/debian-handbook/html/en-US/index.html||The Debian Administrator's Handbook, English, 1 MB, CC BY-SA 3.0 or GPL-2+"
  "debian-reference-pt|debian-reference-pt|usr/share/debian-reference/index.pt.html|-drop-english|Referência Debian, European Portuguese, 0.3 MB, GPL-2+"
  "debian-faq-pt|debian-faq-pt|usr/share/doc/debian/FAQ/pt/index.pt.html|-drop-english|Debian GNU/Linux FAQ, European Portuguese, 0.15 MB, Debian FAQ licence (copyleft)"
  "installation-guide-pt|installation-guide-amd64|usr/share/doc/installation-guide-amd64/pt/index.html|-drop-english|Guia de Instalação de Debian, European Portuguese, 0.35 MB, GPL-2"
)

die() { echo "fetch-corpus: $1" >&2; exit "${2:-1}"; }

usage() {
  echo "usage: scripts/fetch-corpus.sh NAME [DEST]      (DEST: corpus/fetched/NAME)"
  local book name what
  for book in "${books[@]}"; do
    IFS='|' read -r name _ _ _ what <<<"$book"
    printf '  %-22s %s\n' "$name" "$what"
  done
}

# find_book NAME sets package, index, options and what.
find_book() {
  local book name
  for book in "${books[@]}"; do
    IFS='|' read -r name package index options what <<<"$book"
    [[ $name == "$1" ]] && return
  done
  usage >&2
  die "no text is known by the name \"$1\"" 2
}

need() { command -v "$1" >/dev/null || die "$1 is not on this machine's PATH: $2"; }

# download puts the package's files under $work/package and its version into $version.
download() {
  # As root, apt would warn that its unprivileged user cannot write to our directory.
  local apt=(apt-get -q) deb
  ((EUID != 0)) || apt+=(-o APT::Sandbox::User=root)
  apt-cache show "$package" >/dev/null 2>&1 ||
    die "the package lists do not hold $package: run \"sudo apt-get update\" and try again"
  (cd "$work" && "${apt[@]}" download "$package" >apt.log 2>&1) ||
    die "$package could not be downloaded (if it says 404, run \"sudo apt-get update\"): $(tail -n 1 "$work/apt.log")"
  deb=$(find "$work" -maxdepth 1 -name "${package}_*.deb")
  dpkg-deb -x "$deb" "$work/package" || die "$(basename "$deb") could not be unpacked"
  version=$(basename "$deb" | cut -d_ -f2)
  [[ -f $work/package/$index ]] || die "$package $version holds no $index: this script does not know that version"
}

# licences copies the package's own copyright file, and the common licences it refers to.
licences() {
  local common
  cp "$work/package/usr/share/doc/$package/copyright" "$work/text/LICENSE"
  grep -o '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$work/text/LICENSE" | sort -u | while read -r common; do
    [[ ! -f $common ]] || cp -L "$common" "$work/text/LICENSE.${common##*/}"
  done || true # no common licence referred to: the copyright file says it all
}

notice() {
  cat <<NOTICE
$what

The text of the Debian package $package, version $version, by its authors and translators; LICENSE is the package's
copyright file. Changed from it: taken out of the HTML, without navigation, tables, pictures and blocks of code${options:+, and
without the paragraphs that were still in English}; sections parted by lines <|endoftext|>. Made by scripts/fetch-corpus.sh.
NOTICE
}

case ${1-} in
'' | -h | --help | help | list) usage; exit 0 ;;
esac
(($# <= 2)) || { usage >&2; exit 2; }
find_book "$1"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dest=${2:-$root/corpus/fetched/$1}
if [[ -f $dest/NOTICE ]]; then
  echo "$dest is there already (remove it to fetch it again)"
  exit 0
fi
[[ ! -e $dest ]] || die "$dest exists and is not a text fetched before: name another directory"
need apt-get "these texts come as Debian packages"
need apt-cache "these texts come as Debian packages"
need dpkg-deb "these texts come as Debian packages"
need go "it turns the HTML into text"

mkdir -p "$(dirname "$dest")"
parent=$(cd "$(dirname "$dest")" && pwd)
dest=$parent/$(basename "$dest")
work=$parent/.$(basename "$dest").partial
exec 9<"$parent"
flock -n 9 || die "another fetch is at work in $parent"
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/text"

echo "fetching $package …"
download
echo "turning $package $version into text …"
CGO_ENABLED=0 go run -C "$root" ./scripts/htmltext ${options:+"$options"} "$work/package/$index" "$work/text"
licences
notice >"$work/text/NOTICE"
sync "$work"/text/*
mv -T "$work/text" "$dest"
echo "$dest: $(find "$dest" -name '*.txt' | wc -l) files, $(cat "$dest"/*.txt | wc -c) bytes; its licence is in LICENSE, beside it"
