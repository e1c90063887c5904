# make demo: see it work.  make test: prove it.  Everything else: make help.
# Needs Rust and a C compiler. `test` finds PostgreSQL, or installs Debian's when run as root.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.PHONY: help demo test interop lint bench fuzz

# cargo-nextest runs each test in a process of its own and ends one that hangs; plain `cargo test` does too where it is absent.
ifneq ($(shell command -v cargo-nextest 2>/dev/null),)
  TEST         := cargo nextest run --locked
  NOT_INTEROP  := -E 'not test(interop)'
  ONLY_INTEROP := -E 'test(interop)'
else
  TEST         := cargo test --locked
  NOT_INTEROP  := -- --skip interop
  ONLY_INTEROP := interop
endif

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

demo: ## the main job from referral to filed note, with a pretend EPR; STAY=1 leaves both running
	cargo build --locked
	cargo run --locked -q -- demo $(if $(filter-out 0,$(STAY)),--stay)

test: ## every test that needs nothing but this folder, SQLite and a PostgreSQL of its own
	scripts/with-postgres $(TEST) $(NOT_INTEROP)

# IPS_SHARED: a folder with corpus/ (messages that others wrote) and validators/ (judges that others wrote).
IPS_SHARED ?= ../shared
interop: ## the tests against messages, judges and peers that others wrote; IPS_SHARED names their folder
	IPS_SHARED='$(IPS_SHARED)' scripts/with-judges scripts/with-postgres $(TEST) $(ONLY_INTEROP)

lint: ## format, clippy, proto, licences, one crypto provider
	scripts/lint

bench: ## each figure beside its limit; writes target/bench/summary.json
	scripts/with-postgres cargo bench --locked --bench figures

FUZZ_SECONDS ?= 600
fuzz: ## cargo-fuzz on everything that reads what others wrote; FUZZ_SECONDS for each of the targets
	scripts/fuzz $(FUZZ_SECONDS)
