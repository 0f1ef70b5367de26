# The commands of this project, from a fresh clone on: Linux with Go, a C++ compiler, and python3 with pip for one download.
#   make demo     trains a small GPT-2 on the embedded Portuguese corpus
#   make help     shows the rest

SHELL       := /usr/bin/env bash -o pipefail
PYTHON      ?= python3
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Packages that reach libtorch, found by what they import, and all others, which need neither it nor a C++ compiler.
NATIVE = $(shell CGO_ENABLED=1 go list -f '{{range .Deps}}{{if eq . "frugal/torch"}}{{$$.ImportPath}}{{end}}{{end}}' ./...) frugal/torch
PURE   = $(filter-out $(NATIVE),$(shell CGO_ENABLED=1 go list ./...))
# Of these the program's own. The others are tests of shell scripts and of texts, and drawings: nothing there runs beside anything else.
RACED  = $(filter frugal/trainer% frugal/cmd%,$(PURE))

.PHONY: help demo build test pure race lint native collector test-net bench compiler libtorch clean
.NOTPARALLEL:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## install libtorch, build, train configs/demo-pt.yaml
	bin/train -config configs/demo-pt.yaml

build: compiler libtorch ## the programs, in bin/
	go build -o bin/ ./cmd/...

# The quick ones first; nothing is hidden, and the last lines are go test's.
test: build pure race lint native collector ## everything that must hold before a change lands

pure: ## tests of what needs no libtorch, with cgo off
	CGO_ENABLED=0 go test $(PURE)

race: ## those of the program itself under the race detector, which needs cgo
	CGO_ENABLED=1 go test -race $(RACED)

lint: libtorch ## gofmt, go vet, staticcheck; shellcheck and hadolint where they are installed
	@unformatted=$$(find . -name '*.go' -not -path './third_party/*' -not -path './bench/gotorch/build/*' -exec gofmt -l {} +) && \
		if [[ -n $$unformatted ]]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run $$(find scripts bench -name '*.sh' -not -path '*/build/*'); else echo 'shellcheck is not here: scripts not checked'; fi
	@if command -v hadolint >/dev/null; then hadolint Dockerfile; else echo 'hadolint is not here: Dockerfile not checked'; fi

native: libtorch ## tests of what stands on libtorch
	go test $(NATIVE)

# A collector that never rests finds what is freed while C++ still works on it, and cgocheck finds Go pointers kept by C.
collector: libtorch ## the tests of torch and trainer again, shorter, under a busy collector
	GODEBUG=cgocheck=1 GOGC=1 go test -count=1 -short $(filter frugal/torch% frugal/trainer%,$(NATIVE))

# It needs root and ip (iproute2). TIMES=10 has each accident happen ten times.
test-net: libtorch ## processes on several hosts (network namespaces) whose links are cut, lossy, reset, slow
	FRUGAL_TEST_NET=$(or $(TIMES),1) go test -count=1 -timeout 3h -v ./trainer/internal/nettest

# The peers are Python's: where PYTHON lacks them, they are installed into a virtual environment, .cache/race-venv. bench/README.md explains the
# figures. RACE='-rounds 1 -models 6x384-v8192-t256', for example, makes it shorter: all of it takes some hours.
bench: libtorch ## speed and memory beside PyTorch's and Hugging Face's, everything raced
	go run ./bench/race -python $(PYTHON) $(RACE)
	go run ./bench/monitoring

# Before anything is downloaded. Without a compiler Go would turn cgo off and complain of what is missing then.
compiler:
	@compiler=$$(go env CXX) && command -v "$${compiler%% *}" >/dev/null || { echo "There is no C++ compiler ($$(go env CXX)): install g++ or clang++" >&2; exit 1; }

libtorch: # into third_party/, unless it is there
	@scripts/install-libtorch.sh --auto

clean: ## remove what was built; third_party/, runs and caches stay
	rm -rf bin bench/gotorch/build
