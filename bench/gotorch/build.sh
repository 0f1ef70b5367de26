#!/usr/bin/env bash
# Makes build/gotorch: a copy of the gotorch module with its C++ part compiled against third_party/torch. The module was
# written for libtorch 1.6; what libtorch 2.11 needs changed is changed here, in the copy, and nowhere else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly module=github.com/wangkuiyi/gotorch version=v0.0.0-20201028015551-9afed2f3ad7b
readonly sum='h1:oJfm5gCGdy9k2Yb+qmMR+HMRQ89CbVDsDi6DD9AZSTk='
readonly libtorch=$PWD/../../third_party/torch

[[ -f $libtorch/lib/libtorch_cpu.so ]] || { echo 'build.sh: run scripts/install-libtorch.sh first' >&2 && exit 1; }
download=$(cd / && go mod download -json "$module@$version")
field() { sed -n "s|^\t\"$1\": \"\(.*\)\",\{0,1\}\$|\1|p" <<<"$download"; }
[[ $(field Sum) == "$sum" ]] || { echo "build.sh: $module $version has checksum $(field Sum), want $sum" >&2 && exit 1; }

rm -rf build
mkdir build
cp -r --no-preserve=mode "$(field Dir)" build/gotorch
ln -s "$(cd "$libtorch" && pwd)" build/gotorch/cgotorch/libtorch

# libtorch.so only names libtorch_cpu.so and libtorch_cuda.so, and the CPU installation leaves it out.
sed -i 's/ -ltorch / /' build/gotorch/*.go build/gotorch/nn/*.go build/gotorch/nn/*/*.go

cd build/gotorch/cgotorch
for source in *.cc; do
  echo "  $source"
  g++ -std=c++17 -O -fPIC -I .. -I libtorch/include -I libtorch/include/torch/csrc/api/include -c "$source" -o "${source%.cc}.o"
done
g++ -shared -o libcgotorch.so ./*.o -L libtorch/lib -Wl,-rpath,"$PWD/libtorch/lib" -lc10 -ltorch_cpu
rm ./*.o
