# `make run` starts everything on this machine and runs the example Flow; `make test` runs all tests.
# Each sets up what it needs by itself: two environments, since CrewAI holds back what the gateway wants new, and a
# third in which the gateway's hot path is compiled, as it is where it serves.

SHELL := bash
.SHELLFLAGS := -eo pipefail -c

PYTHON ?= python3
MAIN := .venv
FLOWS := .venv-orchestrator
COMPILED := .venv-compiled
FUZZ := .venv-fuzz
LITELLM := .venv-litellm
# Whose gateway `make run` starts; GATEWAY=.venv for the interpreted one.
GATEWAY ?= $(COMPILED)
PIP := $(PYTHON) -m pip --disable-pip-version-check

define NEWLINE


endef

NEWS := sed -u '/^Requirement already satisfied/d'

SOURCES := gateway tiers deploy tests bench hatch_build.py
FLOW_SOURCES := orchestrator tests/orchestrator tests/acceptance/crewai
# What needs CrewAI is checked and tested in its own environment.
FLOW_TESTS := tests/orchestrator tests/acceptance/crewai
# What runs a second time, against the compiled modules.
COMPILED_TESTS := tests/gateway tests/tiers tests/contract tests/packaging tests/fuzz
# What rehearses Runpod on a clock that runs up to a hundred times as fast: so does every delay of a busy machine there.
EMULATED_TESTS := tests/acceptance/test_cold_starts.py tests/acceptance/test_emulator_faults_through_gateway.py \
  tests/acceptance/test_four_transports.py
# What starts whole gateways, stores and other programs.
PROCESS_TESTS := tests/acceptance tests/integration
# What of it runs interpreted, too, as a wheel without a compiler serves: every route, processes, keys, the store. The
# other acceptance tests run on the compiled modules alone, as they serve; interpreted ones are taken apart by test-main.
INTERPRETED_PROCESS_TESTS := tests/integration \
  $(patsubst %,tests/acceptance/test_%.py,chat surface operations processes reload virtual_keys)

.PHONY: help setup compiled run test test-main test-processes test-compiled test-compiled-processes \
  test-flows test-litellm test-emulated guard fuzz check check-style check-types check-flow-types wheel lock clean
.DELETE_ON_ERROR:

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(MAIN)/.ready $(FLOWS)/.ready ## Set up both environments

compiled: $(COMPILED)/.ready ## Set up .venv-compiled: as .venv, with the gateway's hot path compiled

run: setup $(GATEWAY)/.ready ## Start everything here and run the example Flow (ONCE=1: stop after its report)
	$(GATEWAY)/bin/tiergate-deploy local --tiers examples/tiers/local.yaml \
	  --flow examples/support_triage/flow.py:SupportTriageFlow \
	  --orchestrator $(FLOWS)/bin/tiergate-orchestrator $(if $(ONCE),--once)

# Four of the suites at a time, the longest first: each waits for its own processes more than it computes.
test: setup compiled ## Run all tests, with coverage, and the gateway's again on the compiled modules
	rm -f .coverage .coverage.*
	$(MAKE) --no-print-directory test-emulated
	@echo "==> Six suites, four at a time (about seven minutes); each is shown when it is over"
	$(MAKE) --no-print-directory -j4 --output-sync=target test-main test-flows test-compiled-processes test-compiled \
	  test-processes test-litellm
	$(MAIN)/bin/coverage combine -q
	$(MAIN)/bin/coverage report --fail-under=100 --include='tiers/*'
	$(MAIN)/bin/coverage report --fail-under=95

test-main: setup ## Only those of all but the Flows and whole processes, not compiled
	$(MAIN)/bin/coverage run -m pytest $(foreach path,$(FLOW_TESTS) $(PROCESS_TESTS),--ignore=$(path)) $(ARGS)

test-processes: setup ## Only some of those of whole processes, not compiled
	$(MAIN)/bin/coverage run -m pytest $(INTERPRETED_PROCESS_TESTS) $(ARGS)

test-emulated: setup ## Only those of cold starts, faults and transports on the emulator, by themselves
	$(MAIN)/bin/coverage run -m pytest $(EMULATED_TESTS) $(ARGS)

test-flows: setup ## Only those of what needs CrewAI
	TIERGATE_GATEWAY_PYTHON=$(MAIN)/bin/python $(FLOWS)/bin/coverage run -m pytest $(FLOW_TESTS) $(ARGS)

# LiteLLM's SDK holds back what the tests want new, so it has an environment of its own; elsewhere its tests are left out.
test-litellm: setup $(LITELLM)/.ready ## Only those of what calls LiteLLM's SDK
	$(LITELLM)/bin/python -m coverage run -m pytest $(wildcard tests/gateway/upstream/test_litellm_*.py) $(ARGS)
	$(LITELLM)/bin/python -m coverage run -m pytest -k litellm tests/acceptance/test_four_transports.py $(ARGS)

# Safe path and no "pythonpath": else the sources in this folder would be imported, and not what is installed.
TEST_COMPILED := TIERGATE_TESTED=compiled PYTHONSAFEPATH=1 $(COMPILED)/bin/python -m pytest -o pythonpath=

test-compiled: setup compiled ## Only those on the compiled modules
	$(TEST_COMPILED) $(COMPILED_TESTS) $(ARGS)

test-compiled-processes: setup compiled ## Only those of whole processes, on the compiled modules
	$(TEST_COMPILED) $(PROCESS_TESTS) $(foreach path,$(FLOW_TESTS) $(EMULATED_TESTS),--ignore=$(path)) $(ARGS)

guard: setup compiled ## Count the instructions of a request (needs valgrind; ARGS=--renew: set the bounds anew)
	$(MAIN)/bin/python -m tests.guard --python $(COMPILED)/bin/python $(ARGS)

fuzz: $(FUZZ)/.ready ## Let a fuzzer loose on what reads foreign bytes (Python 3.11; SECONDS=60 for each, TARGETS=…)
	$(foreach target,$(TARGETS),$(FUZZ)/bin/python -m tests.fuzz $(target) --seconds $(SECONDS) --found dist/fuzz$(NEWLINE))
SECONDS ?= 60
TARGETS ?= $(notdir $(wildcard tests/fuzz/corpus/*))

check: check-style check-types check-flow-types wheel ## Check style, types, layers, and that the wheel works by itself
	$(MAIN)/bin/pytest -q tests/docs tests/tiers/test_schema.py

check-style: setup
	$(MAIN)/bin/ruff format --check .
	$(MAIN)/bin/ruff check .
	$(MAIN)/bin/lint-imports --no-logo

check-types: setup
	$(MAIN)/bin/mypy $(SOURCES) $(foreach path,$(FLOW_TESTS),--exclude '^$(path)/')

check-flow-types: setup
	$(FLOWS)/bin/mypy --cache-dir .mypy_cache/flows $(FLOW_SOURCES)

wheel: setup compiled ## Try the wheel, pure and compiled, in an environment of its own
	rm -rf dist/wheel
	$(MAIN)/bin/hatchling build -t wheel -d dist/wheel
	$(MAIN)/bin/python -m venv --without-pip --clear dist/wheel/venv
	$(PIP) --python dist/wheel/venv/bin/python install -q --require-hashes -r locks/gateway.txt
	$(call try_wheel,dist/wheel,interpreted)
	$(call try_wheel,dist/compiled,compiled)
	! dist/wheel/venv/bin/python -P -c 'import crewai' 2>/dev/null

define try_wheel
	$(PIP) --python dist/wheel/venv/bin/python install -q --no-deps --force-reinstall $(1)/*.whl
	cd dist/wheel && venv/bin/python -P -c 'from gateway.build import build; print(build()); exit(build() != "$(2)")'
	cd dist/wheel && venv/bin/python -P -m gateway --version && venv/bin/tiergate-gateway check ../../examples/tiers/local.yaml
endef

lock: ## Renew the lock files (needs uv on the path)
	uv pip compile $(LOCK) --extra gateway -o locks/gateway.txt
	uv pip compile $(LOCK) --extra gateway --extra deploy --group check --group acceptance --group compile -c locks/gateway.txt -o locks/development.txt
	uv pip compile $(LOCK) --extra gateway --group build -c locks/development.txt -o locks/build.txt
	uv pip compile $(LOCK) --extra deploy -c locks/development.txt -o locks/deploy.txt
	uv pip compile $(LOCK) --extra gateway --extra litellm -c locks/gateway.txt -o locks/litellm.txt
	uv pip compile $(LOCK) --extra orchestrator -o locks/orchestrator.txt
	awk 'NR == FNR {if ($$1 != "#") out[$$1]; next} /^[a-z]/ {split($$0, name, "=="); keep = !(name[1] in out)} keep' \
	  locks/orchestrator-left-out.in locks/orchestrator.txt > locks/orchestrator-slim.txt
	uv pip compile $(LOCK) --extra orchestrator --extra batch -o locks/batch.txt
	uv pip compile $(LOCK) --extra orchestrator --extra batch --group check -c locks/batch.txt -o locks/orchestrator-development.txt
	uv pip compile $(LOCK:pyproject.toml=) --no-deps locks/engines.in -o locks/engines.txt
	uv pip compile $(LOCK:pyproject.toml=) --group fuzz -o locks/fuzz.txt
LOCK := -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml

clean: ## Remove the environments and everything that was made
	rm -rf $(MAIN) $(FLOWS) $(COMPILED) $(FUZZ) $(LITELLM) dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(MAIN)/.ready: locks/development.txt locks/engines.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Tiergate needs Python 3.11 to 3.13: call make with PYTHON=/path/to/python3.12"; exit 1; }
	@echo "==> Setting up $(MAIN): the gateway, the deploy tool, and the local tiers' engine with its model"
	$(PYTHON) -m venv --without-pip $(MAIN)
	$(PIP) --python $(MAIN)/bin/python install --no-compile --require-hashes -r locks/development.txt | $(NEWS)
	$(PIP) --python $(MAIN)/bin/python install --no-compile --require-hashes --no-deps -r locks/engines.txt | $(NEWS)
	$(PIP) --python $(MAIN)/bin/python install -q --no-deps --no-build-isolation -e .
	@touch $@

# Without looking at dependencies: the lock has all of them, and pip finds no hash for one that is asked for with an extra.
$(FLOWS)/.ready: locks/orchestrator-development.txt pyproject.toml
	@echo "==> Setting up $(FLOWS): the orchestrator with CrewAI (800 MB, one to two minutes)"
	$(PYTHON) -m venv --without-pip $(FLOWS)
	$(PIP) --python $(FLOWS)/bin/python install --no-compile --require-hashes --no-deps -r locks/orchestrator-development.txt | $(NEWS)
	$(PIP) --python $(FLOWS)/bin/python install -q --no-deps --no-build-isolation -e .
	@touch $@

# The packages come from $(MAIN), so that only the wheel is installed twice; this folder stands last, for the tests.
$(COMPILED)/.ready: $(MAIN)/.ready dist/compiled/.built
	$(MAIN)/bin/python -m venv --without-pip --clear $(COMPILED)
	$(PIP) --python $(COMPILED)/bin/python install -q --no-deps dist/compiled/*.whl
	@$(MAIN)/bin/python -c '$(PURELIB); print(path); print("$(CURDIR)")' \
	  > "$$($(COMPILED)/bin/python -c '$(PURELIB); print(path)')/neighbours.pth"
	@touch $@
PURELIB := import sysconfig; path = sysconfig.get_path("purelib")

# The fuzzer alone is installed here: all else is what $(MAIN) has, interpreted, and this folder.
$(FUZZ)/.ready: $(MAIN)/.ready locks/fuzz.txt
	@$(MAIN)/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "The fuzzer needs Python 3.11: call make with PYTHON=/path/to/python3.11"; exit 1; }
	$(MAIN)/bin/python -m venv --without-pip --clear $(FUZZ)
	$(PIP) --python $(FUZZ)/bin/python install --require-hashes -r locks/fuzz.txt | $(NEWS)
	@$(MAIN)/bin/python -c '$(PURELIB); print(path); print("$(CURDIR)")' \
	  > "$$($(FUZZ)/bin/python -c '$(PURELIB); print(path)')/neighbours.pth"
	@touch $@

# What is not in its own lock, the tests' tools above all, is what $(MAIN) has.
$(LITELLM)/.ready: $(MAIN)/.ready locks/litellm.txt
	$(MAIN)/bin/python -m venv --without-pip --clear $(LITELLM)
	$(PIP) --python $(LITELLM)/bin/python install -q --require-hashes -r locks/litellm.txt
	@$(MAIN)/bin/python -c '$(PURELIB); print(path); print("$(CURDIR)")' \
	  > "$$($(LITELLM)/bin/python -c '$(PURELIB); print(path)')/neighbours.pth"
	@touch $@

dist/compiled/.built: $(MAIN)/.ready hatch_build.py $(shell find gateway tiers deploy orchestrator -type f -not -name '*.pyc')
	@echo "==> Compiling the gateway's hot path (one to two minutes)"
	rm -rf dist/compiled
	HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 $(MAIN)/bin/hatchling build -t wheel -d dist/compiled
	@touch $@
