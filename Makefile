# valkeep: `make demo` shows it, `make test` proves it, `make check` keeps it tidy. Each sets up what it needs.

# Compiling the AWS SDK takes minutes. On CI, where every run is a fresh clone, it is kept outside the clone.
ifdef CI
export CARGO_TARGET_DIR ?= $(HOME)/.cache/valkeep/target
endif
TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := $(CURDIR)/.venv
CALLS := $(abspath $(TARGET))/recorded-calls
CARGO := cargo --locked

.PHONY: help demo test check fmt generate safety bench setup-demo setup-test build static

help:
	@echo 'make demo         the whole path on this machine: a document in, a real Valkey out   (KEEP=1 leaves it running)'
	@echo 'make test         every test, servers included'
	@echo 'make static       the shipped binary as its image has it: static, in an empty root'
	@echo 'make check        format, lints, documentation'
	@echo 'make fmt          formats the code'
	@echo 'make generate     writes the generated files anew: schema, CRD, command reference, golden files'
	@echo 'make safety       what replacing, killing, overlapping, switching and tuning servers costs, with valkeep and without: a table, some 15 minutes'
	@echo 'make bench        figures: calls per pass, CPU and memory of 1,000 documents, length of the chain of calls'

demo: setup-demo build
	@$(TARGET)/debug/demo $(if $(KEEP),--keep)

# Always the whole workspace with its tests: another selection has other features and would compile all of the SDK again.
build:
	$(CARGO) build --workspace --all-targets

# Every call that valkeep makes in the tests is noted, and compared with the table behind `iam-policy` afterwards.
test: setup-test
	@rm -rf $(CALLS)
	LOCALAWS_RECORD=$(CALLS) VALKEEP_TEST_VENV=$(VENV) $(CARGO) test --workspace
	@$(TARGET)/debug/calls $(CALLS)
	@$(MAKE) --no-print-directory static

# The shipped binary, linked statically as in deploy/Dockerfile, and run where there is nothing else. The test beside it is
# there for its features: without them Cargo would compile all of the SDK again.
static: setup-test
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/deploy/rustc-static $(CARGO) build --workspace --bin valkeep --test cli
	@$(VENV)/bin/python tests/setup/static.py $(TARGET)/debug/valkeep

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

fmt:
	$(CARGO) fmt --all

generate:
	UPDATE_GOLDEN=1 $(CARGO) test --workspace -- golden

safety: setup-demo build
	@$(TARGET)/debug/safety

bench:
	$(CARGO) build --workspace --release
	@$(TARGET)/release/bench

setup-demo:
	@tests/setup/install.sh demo $(VENV)

setup-test:
	@tests/setup/install.sh test $(VENV)
