# One command a task. Each installs what it lacks and says so, a line a step; `make help` lists them.

MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
FEATURES := server,mint
IMAGE ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-python test-wasm test-go test-envoy interop interop-envoy python-package bench-python
.PHONY: lint lint-wasm vectors fuzz bench bench-envoy miri coverage

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: ## pull an image through every hop with one identity; IMAGE=reg.example/app:1 ARGS="--cert c.pem --key k.pem" for yours
	@echo "demo: building and running, a minute the first time"
	@cargo run --quiet --package regauth --features $(FEATURES) --example pull -- $(ARGS) $(IMAGE)

test: tests/servers/.there ## all tests, real servers included
	cargo test --workspace --features $(FEATURES)
	cargo run --quiet --package regauth --example vectors -- tests/vectors/*.jsonl
	@BUILT=$(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/deps FAST=1 sh ffi-c/tests/run.sh
	@sh bindings-python/test.sh
	@$(MAKE) --no-print-directory test-wasm
	@BUILT=$(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/deps sh ffi-c/go/test.sh
	@$(MAKE) --no-print-directory test-envoy
	@SECONDS_EACH=$${SECONDS_EACH:-30} SEED=1 JOBS=2 sh core/fuzz/run.sh

test-python: tests/servers/.there ## the Python module: pytest against real servers, types, doctests; PYTHON=python3.12 for another
	@sh bindings-python/test.sh

python-package: tests/servers/.there ## pip install the Python module from tree and sdist into fresh environments; README, doctor
	@sh bindings-python/package.sh

bench-python: tests/servers/.there ## what the Python module costs beside httpx and aiohttp; requests and connections of a pull
	@sh bindings-python/bench.sh

test-wasm: tests/servers/.there ## the core on WebAssembly, and the npm package with everything that it is installed in
	sh bindings-wasm/core.sh
	sh bindings-wasm/js/build.sh
	cargo build --quiet --package regauth-servers --example world --example minted
	cd bindings-wasm/js && npm test

test-go: tests/servers/.there ## tests of the Go package, both back ends; SOAK is a number of flows
	@sh ffi-c/go/test.sh

interop: tests/servers/.there ## BuildKit and other programs that are not ours, as root; built the first time, some minutes
	@sh tests/interop/install.sh
	@sh bindings-wasm/js/build.sh
	cd tests/interop && CGO_ENABLED=0 GOWORK=off go test -count=1 -v -timeout 20m . $(foreach module,containerd ggcr buildkit,github.com/regauth/regauth/ffi-c/go/$(module))
	@$(MAKE) --no-print-directory interop-envoy

test-envoy: ## the proxy plugin: the module in a host of ours, fault by fault
	sh bindings-wasm/proxy/build.sh
	cargo test --locked --manifest-path bindings-wasm/proxy-tests/Cargo.toml --test fake

interop-envoy: tests/servers/.there ## the proxy plugin in Envoy, between stock clients and a registry that wants a certificate
	@sh tests/servers/envoy.sh
	@sh tests/interop/install.sh
	sh bindings-wasm/proxy/build.sh
	cargo test --locked --manifest-path bindings-wasm/proxy-tests/Cargo.toml --test real -- --test-threads=2

bench-envoy: tests/servers/.there ## what a cached request adds to Envoy's CPU time, beside a plugin that does nothing
	@sh tests/servers/envoy.sh
	sh bindings-wasm/proxy/build.sh
	cargo run --locked --quiet --manifest-path bindings-wasm/proxy-tests/Cargo.toml --bin added-cpu

fuzz: ## every fuzz target for SECONDS_EACH seconds, ten minutes without it
	@SECONDS_EACH=$${SECONDS_EACH:-600} sh core/fuzz/run.sh

bench: ## what regauth costs beside its peers, one table; ARGS="answers tls" for these groups only
	@sh core/benches/run.sh $(ARGS)

miri: ## the core's tests without TLS under Miri, some minutes
	@sh tests/miri.sh

coverage: ## which share of the core's lines its tests reach, file by file; ARGS=core/src/wire/body.rs for what they do not
	@sh tests/coverage.sh $(ARGS)

vectors: ## the test vectors alone
	cargo run --quiet --package regauth --example vectors -- tests/vectors/*.jsonl

lint: .tools/msrv-$(MSRV) lint-wasm ## formatting, lints, documentation, the oldest Rust, the shape of the tree
	cargo fmt --all --check
	cargo fmt --check --manifest-path core/benches/Cargo.toml
	cargo fmt --check --manifest-path core/fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --features $(FEATURES) -- -D warnings
	cargo clippy --package regauth --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --package regauth --no-deps --features $(FEATURES)
	cargo +$(MSRV) check --quiet --package regauth --features $(FEATURES) --target-dir target/msrv
	sh tests/shape.sh

# Layer a of the C ABI as WebAssembly, which the Go package embeds.
lint-wasm: ## lints of the C ABI for wasm32-unknown-unknown
	@if rustup target add wasm32-unknown-unknown >/dev/null 2>&1; then \
	  for features in "" pem,config; do \
	    echo "cargo clippy --package regauth-c --target wasm32-unknown-unknown --no-default-features --features '$$features'"; \
	    cargo clippy --package regauth-c --target wasm32-unknown-unknown --no-default-features --features "$$features" -- \
	      -D warnings || exit 1; \
	  done; \
	else echo "SKIPPED: lint-wasm: there is no Rust for wasm32-unknown-unknown: rustup target add wasm32-unknown-unknown" >&2; fi

# The programs that the tests run against; the script says what it does.
.PHONY: tests/servers/.there
tests/servers/.there:
	@sh tests/servers/install.sh

.tools/msrv-$(MSRV):
	@echo "lint: installing Rust $(MSRV), the oldest that is supported"
	@rustup toolchain install $(MSRV) --profile minimal --no-self-update >/dev/null 2>&1 || \
	  { echo "lint: Rust $(MSRV) is missing. Install it: rustup toolchain install $(MSRV)" >&2; exit 1; }
	@mkdir -p .tools && touch $@
