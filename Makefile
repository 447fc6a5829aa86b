# The two commands: `make check` takes seconds, `make test` proves everything against a real Kafka.

CARGO ?= cargo

.PHONY: help check test demo bench install

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

install: ## Bring the packages and the Kafka that building and testing need
	@tests/install

check: ## Formatting, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items --locked

test: install check ## Check, then every test, on real brokers
	$(CARGO) test --locked

# TOUR=once goes through the failures once and ends; without it the demo runs until Ctrl-C.
demo: install ## A cluster with failures on loopback, and kustody watching it
	$(CARGO) build --locked
	$(CARGO) run --locked --example demo

# Without a name, cargo lists the targets and calls that an error.
bench: ## Name the benchmarks; each runs by `cargo bench --bench NAME`
	@$(CARGO) bench --locked --bench 2>&1 | sed '/^error:/d'
