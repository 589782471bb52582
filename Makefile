# Every command of the manual (docs/install.md). `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PG_CONFIG ?= pg_config
# Build folder, virtual environments and downloads; survives `git clean`, shared by all clones.
LAGOON_CACHE ?= $(HOME)/.cache/lagoon
# What a server must be able to read (ONNX Runtime, models) and the demo's cluster: outside the checkout and outside
# home folders, because the user postgres may be able to read neither.
LAGOON_SHARE ?= /var/tmp/lagoon-$(shell id -u)
export PG_CONFIG LAGOON_CACHE LAGOON_SHARE
export CARGO_TARGET_DIR ?= $(LAGOON_CACHE)/target
export LAGOON_ONNXRUNTIME ?= $(LAGOON_SHARE)/onnxruntime/libonnxruntime.so
export LAGOON_MODEL ?= $(LAGOON_SHARE)/models/all-MiniLM-L6-v2
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install what is missing: PostgreSQL 15, clang, a wasm32 toolchain, ONNX Runtime, the demo's model
	@scripts/deps

.PHONY: build-deps
build-deps: ## Install only what building takes
	@scripts/deps build

.PHONY: build
build: ## Compile the extension and the engines
	cargo build --release --lib

.PHONY: install
install: ## Build the extension and install it into the PostgreSQL of PG_CONFIG
	@scripts/build install

.PHONY: install-vector-shim
install-vector-shim: ## Install an empty extension "vector" that requires lagoon, for clients that hard-code that name
	@scripts/vector-shim install

.PHONY: uninstall-vector-shim
uninstall-vector-shim: ## Remove it
	@scripts/vector-shim uninstall

.PHONY: guests
guests: ## Build the example plugins to WebAssembly
	@scripts/guests

.PHONY: demo
demo: deps install guests ## Run the whole flow on real data in a private cluster
	@demo/run

.PHONY: psql
psql: ## Open a shell on the demo's cluster
	@demo/run psql

.PHONY: stop
stop: ## End the demo's cluster
	@scripts/cluster stop $(LAGOON_SHARE)/demo

.PHONY: test
test: deps guests ## Run every test
	@scripts/test

.PHONY: test-versions
test-versions: deps guests ## Run what depends on the server on each of PostgreSQL 15, 16, 17 and 18
	@scripts/test versions

.PHONY: test-package
test-package: deps guests ## Run the tour with the Debian packages, for PostgreSQL 15 or each of VERSIONS
	@scripts/test package $(VERSIONS)

.PHONY: lint
lint: ## Check formatting, run clippy, rustdoc, shellcheck and ruff
	@scripts/lint

.PHONY: lint-more
lint-more: ## Check licences and sources of dependencies, unused ones, and spelling
	@scripts/lint-more

.PHONY: docs
docs: ## Build the manual as a book in $(LAGOON_CACHE)/book
	@"$$(scripts/tool mdbook 0.5.4)" build docs --dest-dir "$(LAGOON_CACHE)/book"
	@echo "$(LAGOON_CACHE)/book/index.html"

.PHONY: bench
bench: deps install guests ## Print a ratio against a peer for each wing
	@benches/run

.PHONY: bench-vector
bench-vector: export BENCH_SENTENCES ?= 100000
bench-vector: export BENCH_CLUSTERS ?= 1000000
bench-vector: export BENCH_CURVES ?= docs/benchmarks/vector.svg
bench-vector: export BENCH_KINDS_TABLE ?= docs/benchmarks/kinds.md
bench-vector: export BENCH_PARTS ?= widths,spilled,queries,scarce,writes,lists,kinds
bench-vector: deps install ## Compare the hnsw index with pgvector and hnswlib at length and draw the curves of the manual
	@benches/run vector

.PHONY: bench-tpch
bench-tpch: export BENCH_TABLE ?= docs/benchmarks/tpch.md
bench-tpch: export BENCH_BARS ?= docs/benchmarks/tpch.svg
bench-tpch: deps install ## Compare TPC-H's queries (BENCH_SF) with DuckDB and DataFusion, and draw the bars of the manual
	@benches/run tpch

.PHONY: bench-clickbench
bench-clickbench: export BENCH_TABLE ?= docs/benchmarks/clickbench.md
bench-clickbench: export BENCH_BARS ?= docs/benchmarks/clickbench.svg
bench-clickbench: deps install ## Compare ClickBench's queries (BENCH_ROWS) with DuckDB and DataFusion, and draw the bars of the manual
	@benches/run clickbench

.PHONY: package
package: ## Make Debian packages in $(LAGOON_CACHE)/package, for PG_CONFIG or for each of VERSIONS="15 16 17 18"
	@scripts/package $(VERSIONS)

.PHONY: clean
clean: ## Stop the demo's cluster and delete its data; the build folder stays
	scripts/cluster drop $(LAGOON_SHARE)/demo
