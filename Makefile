# The two commands: `make check` takes seconds, `make test` proves everything against a real Kafka.

CARGO ?= cargo

.PHONY: help check test test-versions demo bench bench-turn bench-daemon bench-canary scoreboard scoreboard-show soak-kills install mutants mutants-all truth fuzz fuzz-blind

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

install: ## Bring the packages and the Kafka that building and testing need
	@tests/install

check: ## Formatting, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items --locked

test: install check ## Check, then every test, on real brokers
	$(CARGO) test --locked

test-versions: install ## The same suite on brokers of Kafka 2.8.2, 3.9.2 and 4.3.1, and what each of them showed
	$(CARGO) test --locked --test it -- versions:: --nocapture

# TOUR=once goes through the failures once and ends; without it the demo runs until Ctrl-C.
demo: install ## A cluster with failures on loopback, and kustody watching it
	$(CARGO) build --locked
	$(CARGO) run --locked --example demo

# In the dev profile nothing has to be built twice; what a user runs is PROFILE=release.
PROFILE ?= dev

bench: ## Name the benchmarks; PROFILE=release for numbers of what users run
	@sed -n 's/^\(bench-[a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST)

bench-turn: ## CPU and memory of a turn on 10,000 partitions and 1,000 groups, without any I/O
	$(CARGO) bench --locked --profile $(PROFILE) --bench turn

# BENCH_SECONDS of measuring (30), REPEAT elections (3); 0 leaves a part out.
bench-daemon: install ## The daemon on three brokers: requests, CPU, memory, answers, and how soon a loss is proven
	$(CARGO) bench --locked --profile $(PROFILE) --bench daemon

bench-canary: install ## What the canary's classes cost: CPU, memory, threads; CANARY_SECONDS each (60)
	BENCH_SECONDS=0 REPEAT=0 CANARY_SECONDS=$(or $(CANARY_SECONDS),60) $(CARGO) bench --locked --profile $(PROFILE) --bench daemon

# TRUTH_HISTORIES=n for fewer, JOBS=n processes at once; what is done is not done again. See tests/truth/run.
truth: ## Live a million histories of 200 steps, and hold the ledger against what really happened
	@CARGO=$(CARGO) tests/truth/run

# FUZZ_SECONDS=60, JOBS=1; needs a nightly toolchain. What it keeps is lived again by `make test`. See tests/fuzz/run.
fuzz: ## Fuzz every decoder of the poll plane, guided by coverage
	@CARGO=$(CARGO) tests/fuzz/run

fuzz-blind: ## A million wrong answers for each decoder: panics, memory, time; INPUTS=n for fewer
	CARGO_TARGET_DIR=$(or $(CARGO_TARGET_DIR),target)/fuzz $(CARGO) run --release --locked --manifest-path tests/fuzz/Cargo.toml \
		--bin blind -- $(or $(INPUTS),1000000)

mutants: ## Plant each known bug and see that a test notices it
	@tests/mutants/run

# Takes hours: needs cargo-mutants (cargo install cargo-mutants --locked). SHARD=0/8 for a part. See tests/mutants/run.
mutants-all: ## Change src/audit in every way cargo-mutants knows of, and name the changes that no test notices
	@tests/mutants/run all

# The commit that the binary says it is of: the last one that changed what it is made from. Tests beside the sources are not.
MADE_FROM = src migrations templates Cargo.toml Cargo.lock ':!src/**/*_test.rs' ':!src/**/*_test/**' ':!src/**/*.seeds' \
	':!src/**/*.regressions' ':!src/**/tests.rs' ':!src/**/tests/**'
BINARY_COMMIT = $(shell git log -1 --format=%h -- $(MADE_FROM))$(shell git diff --quiet HEAD -- $(MADE_FROM) || echo -changed)

# ROWS=S1,S4-S8 picks rows, REPEAT=n repeats them, CLASSES=all,acks1 leaves classes out, SCOREBOARD_RESULTS is the file of
# results (target/scoreboard.jsonl): what is in it is not played again.
scoreboard: install ## Play every fault of docs/scoreboard.md, and hold kustody against the brokers' logs
	KUSTODY_COMMIT=$(BINARY_COMMIT) $(CARGO) bench --locked --profile $(PROFILE) --bench scoreboard

soak-kills: install ## SIGKILL the daemon 210 times during S3, S5 and S13; KILLS a run, REPEAT runs a row
	KILLS=$(or $(KILLS),10) ROWS=$(or $(ROWS),S3,S5,S13) REPEAT=$(or $(REPEAT),7) KUSTODY_COMMIT=$(BINARY_COMMIT) \
		$(CARGO) bench --locked --profile $(PROFILE) --bench scoreboard

scoreboard-show: ## Print the scoreboard's table from its results
	SHOW=1 KUSTODY_COMMIT=$(BINARY_COMMIT) $(CARGO) bench --locked --profile $(PROFILE) --bench scoreboard
