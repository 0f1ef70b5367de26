#!/usr/bin/env bash
# Puts libtorch 2.11.0 (libraries and headers) under third_party/, where the cgo flags of the torch package look for it.
# The only complete source of it that a package manager brings, checksums and all, is PyTorch's own Python wheel; so pip
# downloads that wheel and this script takes the C++ part out of it. No Python package is installed.
set -euo pipefail

readonly version=2.11.0

usage() {
  cat <<'USAGE'
usage: scripts/install-libtorch.sh [--auto | --cpu | --cuda] [--dest DIR] [--wheels FILE]

  --auto         CUDA when a card and a driver that CUDA 13 works with are there, else CPU (the default);
                 what is installed already and serves is kept
  --cpu          without CUDA:  0.5 GB to download, 0.5 GB on disk
  --cuda         with CUDA 13:  2.5 GB to download, 3.4 GB on disk; also runs where there is no card
  --dest DIR     install into DIR in place of the project's third_party
  --wheels FILE  another table of wheels than the one in this script (the tests' own)
  -h, --help     this text

LIBTORCH=DIR links the libtorch in DIR (with lib/ and include/, version 2.11.0) in place of downloading one: a CUDA 12
build for a card older than the GTX 16xx, say. Needs bash, coreutils, util-linux and python3 with pip. It may be stopped
at any moment and run again: whole downloads are kept until the installation is complete, and each is checked against the
SHA-256 sum in this script.
USAGE
}

# The wheels: the variant from which on it is needed (cuda needs cpu's as well), machine, SHA-256, size in bytes, file
# name. The versions are those that torch 2.11.0 asks for, nvtx left out: nothing here loads it.
wheels() {
  cat <<'WHEELS'
cpu  x86_64  7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a 530604548 torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl
cpu  x86_64  7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548   2243632 nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
cpu  x86_64  4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8  10715597 nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl
cuda x86_64  ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171 423133236 nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl
cuda x86_64  ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575  90215200 nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
cuda x86_64  d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf 366066321 nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl
cuda x86_64  6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3 214085489 nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
cuda x86_64  08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44   1223672 nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
cuda x86_64  1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc  59544258 nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl
cuda x86_64  0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112 200941980 nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl
cuda x86_64  2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b 145942937 nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
cuda x86_64  25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd 169884119 nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl
cuda x86_64  e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42 196493177 nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl
cuda x86_64  13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b  40713933 nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
cuda x86_64  290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80  60412546 nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
cpu  aarch64 d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6 419718178 torch-2.11.0-cp311-cp311-manylinux_2_28_aarch64.whl
cpu  aarch64 ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55   2261060 nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
cpu  aarch64 796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151  10310827 nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_aarch64.whl
cuda aarch64 c86fc7f7ae36d7528288c5d88098edcb7b02c633d262e7ddbb86b0ad91be5df2 542851226 nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_aarch64.whl
cuda aarch64 d27f20a0ca67a4bb34268a5e951033496c5b74870b868bacd046b1b8e0c3267b  43015449 nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
cuda aarch64 6ed29ffaee1176c612daf442e4dd6cfeb6a0caa43ddcbeb59da94953030b1be4 433781201 nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_aarch64.whl
cuda aarch64 2708c852ef8cd89d1d2068bdbece0aa188813a0c934db3779b9b1faa8442e5f5 214053554 nvidia_cufft-12.0.0.61-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
cuda aarch64 bdc0deedc61f548bddf7733bdc216456c2fdb101d020e1ab4b88d232d5e2f6d1   1136992 nvidia_cufile-1.15.1.6-py3-none-manylinux_2_27_aarch64.whl
cuda aarch64 133df5a7509c3e292aaa2b477afd0194f06ce4ea24d714d616ff36439cee349a  61962106 nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_aarch64.whl
cuda aarch64 02c2457eaa9e39de20f880f4bd8820e6a1cfb9f9a34f820eb12a155aa5bc92d2 223467760 nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_aarch64.whl
cuda aarch64 80bcc4662f23f1054ee334a15c72b8940402975e0eab63178fc7e670aa59472c 162155568 nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
cuda aarch64 400c6ed1cf6780fc6efedd64ec9f1345871767e6a1a0a552a1ea0578117ea77c 220791277 nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_aarch64.whl
cuda aarch64 01c873ba1626b54caa12272ed228dc5b2781545e0ae8ba3f432a8ef1c6d78643 196561677 nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_aarch64.whl
cuda aarch64 e931536ccc7d467a98ba1d8b89ff7fa7f1fa3b13f2b0069118cd7f47bff07d0c  38768748 nvidia_nvjitlink-13.0.88-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
cuda aarch64 6dc2a197f38e5d0376ad52cd1a2a3617d3cdc150fd5966f4aee9bcebb1d68fe9  60215947 nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
WHEELS
}

# What of a wheel is installed, as regular expressions on the paths in it: the libraries that programs load at run time
# and the C++ headers. Left out are the Python parts, static libraries, profilers and plug-ins for clusters' networks.
readonly keep='^torch/lib/[^/]+\.so[.0-9]*$|^torch/include/|^nvidia/[^/]+/lib/[^/]+\.so[.0-9]*$'
readonly drop='/lib(torch_python|shm|nvperf_host|nvperf_target|checkpoint|pcsamplingutil|nvblas|cufftw|cufile_rdma|cusolverMg)\.so|\.alt\.so|/nvshmem_(bootstrap|transport)_'
# The first of these needs the CUDA libraries as well, and libtorch.so and libtorch_global_deps.so only name the others.
readonly drop_on_cpu='/lib(torch_cuda|torch_cuda_linalg|torch_nvshmem|c10_cuda|caffe2_nvrtc|torch|torch_global_deps)\.so'

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install-libtorch: %s\n' "$*" >&2
  exit 1
}
megabytes() { echo "$((($1 + 500000) / 1000000)) MB"; }

# Sets variant and why from the machine: CUDA 13 asks for driver 580 or newer and compute capability 7.5 or higher.
choose_variant() {
  local smi card='' driver capability
  smi=$(command -v nvidia-smi || echo /usr/lib/wsl/lib/nvidia-smi)
  if [[ -x $smi ]]; then
    IFS= read -r card < <("$smi" --query-gpu=driver_version,compute_cap,name --format=csv,noheader 2>/dev/null) || true
  fi
  variant=cpu
  if [[ ! $card =~ ^([0-9]+)\.[0-9.]+,\ ([0-9]+)\.([0-9]+),\ (.+)$ ]]; then
    why='no NVIDIA card with a driver found'
    return
  fi
  driver=${BASH_REMATCH[1]} capability=$((BASH_REMATCH[2] * 10 + BASH_REMATCH[3]))
  if ((driver < 580)); then
    why="${BASH_REMATCH[4]} has driver $driver and CUDA 13 needs 580: update it, or set LIBTORCH to a CUDA 12 build"
  elif ((capability < 75)); then
    why="${BASH_REMATCH[4]} is older than CUDA 13 supports: set LIBTORCH to a CUDA 12 build to use it"
  else
    variant=cuda why="${BASH_REMATCH[4]}, driver $driver"
  fi
}

check_machine() {
  [[ $(uname -s) == Linux ]] || fail "libtorch is taken from PyTorch's Linux wheels, and this is $(uname -s)"
  case $(uname -m) in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "there is no libtorch $version for $(uname -m): only for x86_64 and aarch64" ;;
  esac
  if [[ ! $(getconf GNU_LIBC_VERSION 2>/dev/null || true) =~ ^glibc\ 2\.([0-9]+) ]] || ((BASH_REMATCH[1] < 28)); then
    fail "libtorch $version needs glibc 2.28 or newer"
  fi
}

check_python() {
  python3 -c 'import pip, zipfile' 2>/dev/null ||
    fail 'python3 with pip is needed for the download (Debian, Ubuntu: apt-get install python3-pip)'
}

# Points $dest/$1 at $2, in one step: whoever looks finds the old one or the new one.
point() {
  ln -sfn "$2" "$dest/.link"
  mv -fT "$dest/.link" "$dest/$1"
}

# What is installed in directory $1, one line a file: whatever was lost or cut short since shows.
listing() { (cd "$1" && find torch nvidia -type f -printf '%s %p\n' | LC_ALL=C sort); }

is_whole() { [[ -f $1/files ]] && listing "$1" 2>/dev/null | cmp -s - "$1/files"; }

# Links a libtorch of the user's own.
use_own() {
  local own header found
  own=$(cd "$LIBTORCH" 2>/dev/null && pwd) || fail "LIBTORCH=$LIBTORCH: no such directory"
  header=$own/include/torch/headeronly/version.h
  [[ -f $own/lib/libtorch_cpu.so && -f $own/lib/libc10.so ]] || fail "LIBTORCH=$LIBTORCH: lib/libtorch_cpu.so or lib/libc10.so is missing"
  [[ -f $header ]] || header=$own/include/torch/csrc/api/include/torch/version.h
  [[ -f $header ]] || fail "LIBTORCH=$LIBTORCH: include/torch/headeronly/version.h is missing"
  found=$(sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\)$/\2/p' "$header" | paste -sd.)
  [[ $found == "$version" ]] || fail "LIBTORCH=$LIBTORCH is libtorch ${found:-of an unknown version}, want $version"
  if [[ $(readlink "$dest/torch") != "$own" ]]; then
    point torch "$own"
    rm -f "$dest/nvidia"
  fi
  say "libtorch $version: $dest/torch is a link to $own"
}

# Succeeds, with a line, when what is asked for is there already; --auto keeps whatever serves.
is_installed() {
  local home link
  link=$(readlink "$dest/torch") || return 1
  if [[ $wanted == auto && $link == /* && -d $link ]]; then
    LIBTORCH=$link use_own
    return
  fi
  home=${link%/torch}
  [[ $home == "libtorch-$version-$variant" || ($wanted == auto && $home == "libtorch-$version-cuda") ]] || return 1
  is_whole "$dest/$home" || return 1
  say "libtorch $version (${home##*-}) is in $dest/torch"
}

# Leaves wheel $3, of SHA-256 $1 and $2 bytes, in $downloads.
fetch() {
  local sum=$1 size=$2 file=$3 tries name release platform options=()
  if [[ -f $downloads/$file ]]; then
    if echo "$sum  $downloads/$file" | sha256sum --check --status; then
      say "  $file: downloaded already"
      return
    fi
    say "  $file: refused, cut short or altered since it was downloaded; downloading it again"
    rm -f "$downloads/$file"
  fi
  say "  $file: downloading $(megabytes "$size")"
  IFS=- read -r name release _ _ platform <<<"${file%.whl}"
  for tag in ${platform//./ }; do options+=(--platform "$tag"); done
  [[ -t 1 ]] || options+=(--quiet)
  # The tags are spelled out, so that every python3 fetches the very file whose sum is known. pip's own temporary files
  # lie here too: a kill leaves nothing elsewhere, and /tmp may be small.
  tries=$(mktemp -d "$downloads/fetch.XXXXXX")
  TMPDIR=$tries python3 -m pip --disable-pip-version-check download --no-deps --only-binary=:all: \
    --implementation cp --python-version 3.11 --abi cp311 --abi none "${options[@]}" \
    --dest "$tries/wheel" "$name==$release" 9>&- ||
    fail "pip could not download $name $release (above is why); run this again to go on"
  [[ -f $tries/wheel/$file ]] || fail "pip brought $(ls "$tries/wheel") in place of $file: is another index set in pip's configuration?"
  echo "$sum  $tries/wheel/$file" | sha256sum --check --status ||
    fail "$file: refused and removed: cut short or altered, its SHA-256 is not $sum; run this again to download it anew"
  mv "$tries/wheel/$file" "$downloads/$file"
  rm -rf "$tries"
}

# Unpacks into directory $1 the files whose path matches $keep and not $2, from the wheels $3 and so on.
unpack() {
  python3 - "$keep" "$@" 9>&- <<'PYTHON'
import os, re, sys, zipfile
keep, directory, drop, *wheels = sys.argv[1:]
parent = os.getppid()
for wheel in wheels:
    with zipfile.ZipFile(wheel) as archive:
        for path in archive.namelist():
            if os.getppid() != parent:
                sys.exit("the installation was killed")
            if re.search(keep, path) and not re.search(drop, path):
                archive.extract(path, directory)
PYTHON
}

# Fails when a library of the installation in $1 needs one that is neither in it nor on this machine.
check_libraries() {
  local missing
  missing=$(for library in "$1"/torch/lib/libtorch_c*.so "$1"/nvidia/cudnn/lib/*.so.*; do
    ldd "$library" 2>/dev/null || true
  done | sed -n 's/^\s*\(\S*\) => not found$/\1/p' | sort -u | paste -sd' ')
  [[ -z $missing ]] || fail "libtorch needs these libraries of the system, which are not there: $missing"
}

install() {
  local home=libtorch-$version-$variant stage table files=() bytes=0 without=$drop
  table=$(wheels | awk -v variant="$variant" -v machine="$machine" '$2 == machine && ($1 == "cpu" || variant == "cuda")')
  [[ -n $table ]] || fail "the table of wheels has none for $variant on $machine"
  [[ $variant == cuda ]] || without="$drop|$drop_on_cpu"

  check_python
  say "libtorch $version for $variant${why:+ ($why)}, into $dest"
  while read -r _ _ sum size file; do
    fetch "$sum" "$size" "$file"
    files+=("$downloads/$file")
    bytes=$((bytes + size))
  done <<<"$table"

  say "  unpacking $(megabytes $bytes)"
  stage=$(mktemp -d "$dest/.unpack.XXXXXX")
  chmod 755 "$stage"
  mkdir "$stage/torch" "$stage/nvidia"
  unpack "$stage" "$without" "${files[@]}"
  check_libraries "$stage"
  { say "libtorch $version, $variant, $machine, from:" && awk '{ print $3, $5 }' <<<"$table"; } >"$stage/from"
  listing "$stage" >"$stage/files"

  # All is written: what follows are renames, and after each a new run finds its way.
  [[ ! -e $dest/$home ]] || mv -T "$dest/$home" "$dest/.unpack.old"
  mv -T "$stage" "$dest/$home"
  point nvidia "$home/nvidia"
  point torch "$home/torch"
  for other in "$dest"/libtorch-*; do
    [[ $other == "$dest/$home" ]] || rm -rf "$other"
  done
  rm -rf "$downloads" "$dest/.unpack.old"
  say "libtorch $version ($variant) is in $dest/torch"
}

main() {
  wanted=auto why='' dest=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/third_party
  while (($#)); do
    case $1 in
      --auto | --cpu | --cuda) wanted=${1#--} ;;
      --dest | --wheels)
        (($# > 1)) || fail "$1 needs a value; -h shows the usage"
        if [[ $1 == --dest ]]; then dest=$2; else table_file=$2; fi
        shift
        ;;
      -h | --help) usage && exit ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift
  done
  if [[ -n ${table_file-} ]]; then
    wheels() { cat "$table_file"; }
  fi
  check_machine
  variant=$wanted
  [[ $wanted != auto ]] || choose_variant

  mkdir -p "$dest"
  dest=$(cd "$dest" && pwd) downloads=$dest/.download
  [[ -L $dest/torch || ! -e $dest/torch ]] || fail "$dest/torch is not from this script: move it away, or set LIBTORCH to it where it lies elsewhere"
  # The lock is this process's alone (9>&- above): it goes when this process goes, whatever it had started.
  exec 9>"$dest/.lock"
  flock --nonblock 9 || { say 'waiting for another install-libtorch.sh to end' && flock 9; }

  if [[ -n ${LIBTORCH-} ]]; then
    use_own
  elif ! is_installed; then
    mkdir -p "$downloads"
    rm -rf "$dest"/.unpack.* "$downloads"/fetch.* || true # pip may live a moment longer than a killed run
    trap 'rm -rf "$dest"/.unpack.* "$downloads"/fetch.*' EXIT
    install
  fi
}

main "$@"
