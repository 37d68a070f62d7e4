# Everything a developer runs. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Shared by every clone on a machine, so that RocksDB compiles once.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/holdfast/target
CARGO := cargo
# One profile for programs, tests and benches (see Cargo.toml).
PROFILE := --release --locked
BIN := $(CARGO_TARGET_DIR)/release
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Debian packages that a bare Debian 12 with Rust lacks: a C++ compiler and libclang for RocksDB.
PACKAGES := build-essential libclang-dev clang ca-certificates
# And for the image alone.
IMAGE_PACKAGES := python3 binutils
# And for the tests on Kubernetes alone.
K8S_PACKAGES := containerd runc etcd-server nftables iptables iproute2 openssl curl golang-go
# And for the benchmarks and the guards of the simulation alone.
BENCH_PACKAGES := python3 bc procps
# And for the peers' benchmarks alone.
PEER_PACKAGES := default-jre-headless maven golang-go

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: deps
deps: ## install what the build needs (Debian; as root), or say what is missing
	@scripts/deps.sh $(PACKAGES)
	@scripts/cxx-install.sh

.PHONY: build
build: deps ## build the three programs
	$(CARGO) build $(PROFILE) --bins

# The container image is made without a registry or a daemon; the archive is for `docker load` and `ctr images import`.
IMAGE_NAME ?= holdfast
.PHONY: image
image: build ## the container image as an archive, and its size (IMAGE_NAME=registry/holdfast)
	@scripts/deps.sh $(IMAGE_PACKAGES)
	@deploy/image/build.py --bin $(BIN) --out $(CARGO_TARGET_DIR)/image --name $(IMAGE_NAME)

.PHONY: chart-check
chart-check: build helm ## the image and the chart alone: contents, lint, schemas, what is refused (part of make test)
	HOLDFAST_BIN_DIR=$(BIN) $(CARGO) test $(PROFILE) -p holdfast-tests --test chart --test image -- --nocapture

.PHONY: demo
demo: build ## a cluster, real input, four kills, and a report of what was lost (INPUT=path)
	@$(BIN)/holdfast demo $(if $(INPUT),--input "$(INPUT)")

# The chart is tested with helm, which is built from Go modules where there is a Go for it.
.PHONY: helm
helm:
	@if command -v helm >/dev/null; then :; elif go version 2>/dev/null | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; then tests/k8s/bed.sh build helm; \
	else echo "The chart is not tested: that needs helm on the path, or Go 1.24 or newer to build it." >&2; fi

.PHONY: test
test: build helm ## all tests but the peers' benchmarks; under 30 minutes from a warm build
	HOLDFAST_BIN_DIR=$(BIN) $(CARGO) test $(PROFILE) --workspace

.PHONY: test-k8s
test-k8s: image ## pods, volumes and nodes killed on a real Kubernetes, as root (ONLY=name,... KEEP=1)
	@scripts/deps.sh $(K8S_PACKAGES)
	@tests/k8s/bed.sh build
	@ONLY="$(ONLY)" KEEP="$(KEEP)" $(BIN)/holdfast-k8s-tests

.PHONY: sim
sim: deps ## the simulation alone: SEED=n repeats one run, SEEDS=n tries new ones
	$(CARGO) test $(PROFILE) -p holdfast-tests --test simulation -- --nocapture

.PHONY: test-shapes
test-shapes: build ## clusters of every shape: partitions, brokers, record sizes and codecs, each with each (half an hour)
	SHAPES=all HOLDFAST_BIN_DIR=$(BIN) $(CARGO) test $(PROFILE) -p holdfast-tests --test shapes -- --nocapture

.PHONY: test-bounds
test-bounds: build ## what brokers bear, in full: stopped readers, idle connections, a replica that copies 5 GB (10 minutes)
	BOUNDS=all HOLDFAST_BIN_DIR=$(BIN) $(CARGO) test $(PROFILE) -p holdfast-tests --test bounds -- --nocapture --test-threads 1

.PHONY: trust
trust: build ## one disk, clock or byte at fault, in all variants: restored, copied, vanished, flipped, cut (ONLY=part of a name)
	TRUST=all HOLDFAST_BIN_DIR=$(BIN) $(CARGO) test $(PROFILE) -p holdfast-tests --test trust -- --nocapture $(ONLY)

.PHONY: sim-guards
sim-guards: deps ## switches the guards of the promise off, one by one: the simulation must find each (half an hour)
	@scripts/deps.sh $(BENCH_PACKAGES)
	@tests/guards.py

.PHONY: tidy
tidy: ## the rules of the tree that the compiler does not keep, in seconds
	$(CARGO) test $(PROFILE) -p holdfast-tidy

.PHONY: config-docs
config-docs: deps ## write CONFIG.md and METRICS.md of broker and controller from the tables of options and metrics
	HOLDFAST_WRITE_DOCS=1 $(CARGO) test $(PROFILE) -p holdfast-broker -p holdfast-controller --lib the_documented

.PHONY: lint
lint: deps ## formatting, clippy and what commits say; changes nothing
	@scripts/commits.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PROFILE) --workspace --all-targets -- -D warnings

.PHONY: verify
verify: lint test ## what has to be green: format, clippy, tidy, tests; changes nothing

.PHONY: fix
fix: ## format, and apply clippy's own fixes
	$(CARGO) fmt --all
	$(CARGO) clippy $(PROFILE) --workspace --all-targets --fix --allow-dirty --allow-staged

.PHONY: bench
bench: build ## throughput, latency and fail-over of a cluster on loopback
	@scripts/deps.sh $(BENCH_PACKAGES)
	@BIN=$(BIN) tests/bench.sh

.PHONY: bench-peers
bench-peers: build ## the same beside a real Kafka, in one run, as ratios (needs Java and Maven)
	@scripts/deps.sh $(BENCH_PACKAGES) $(PEER_PACKAGES)
	@BIN=$(BIN) tests/peers/compare.sh

.PHONY: clean-run
clean-run: ## stop a local cluster and remove its data; the build stays
	@if [ -x $(BIN)/holdfast ]; then $(BIN)/holdfast dev down --wipe --yes; fi
