# `make run` starts everything on this machine and runs the example Flow; `make test` runs all tests.
# Each sets up what it needs by itself: two environments, since CrewAI holds back what the gateway wants new.

SHELL := bash
.SHELLFLAGS := -eo pipefail -c

PYTHON ?= python3
MAIN := .venv
FLOWS := .venv-orchestrator
PIP := $(PYTHON) -m pip --disable-pip-version-check

NEWS := sed -u '/^Requirement already satisfied/d'

SOURCES := gateway tiers deploy tests
FLOW_SOURCES := orchestrator tests/orchestrator tests/acceptance/crewai
# What needs CrewAI is checked and tested in its own environment.
FLOW_TESTS := tests/orchestrator tests/acceptance/crewai

.PHONY: help setup run test check wheel lock clean
.DELETE_ON_ERROR:

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(MAIN)/.ready $(FLOWS)/.ready ## Set up both environments

run: setup ## Start everything here and run the example Flow (ONCE=1: stop after its report)
	$(MAIN)/bin/tiergate-deploy local --tiers examples/tiers/local.yaml \
	  --flow examples/support_triage/flow.py:SupportTriageFlow \
	  --orchestrator $(FLOWS)/bin/tiergate-orchestrator $(if $(ONCE),--once)

test: setup ## Run all tests, with coverage
	rm -f .coverage .coverage.*
	$(MAIN)/bin/coverage run -m pytest $(foreach path,$(FLOW_TESTS),--ignore=$(path)) $(ARGS)
	TIERGATE_GATEWAY_PYTHON=$(MAIN)/bin/python $(FLOWS)/bin/coverage run -m pytest $(FLOW_TESTS) $(ARGS)
	$(MAIN)/bin/coverage combine -q
	$(MAIN)/bin/coverage report --fail-under=100 --include='tiers/*'
	$(MAIN)/bin/coverage report --fail-under=95

check: setup wheel ## Check style, types, layers, and that the wheel works by itself
	$(MAIN)/bin/ruff format --check .
	$(MAIN)/bin/ruff check .
	$(MAIN)/bin/mypy $(SOURCES) $(foreach path,$(FLOW_TESTS),--exclude '^$(path)/')
	$(FLOWS)/bin/mypy $(FLOW_SOURCES)
	$(MAIN)/bin/lint-imports --no-logo
	$(MAIN)/bin/pytest -q tests/docs tests/tiers/test_schema.py

wheel: setup ## Build the wheel and try the gateway's commands in an environment of its own
	rm -rf dist/wheel
	$(MAIN)/bin/hatchling build -t wheel -d dist/wheel
	$(PYTHON) -m venv --without-pip --clear dist/wheel/venv
	$(PIP) --python dist/wheel/venv/bin/python install -q --require-hashes -r locks/gateway.txt
	$(PIP) --python dist/wheel/venv/bin/python install -q --no-deps dist/wheel/*.whl
	cd dist/wheel && venv/bin/python -P -m gateway --version && venv/bin/tiergate-gateway check ../../examples/tiers/local.yaml
	! dist/wheel/venv/bin/python -P -c 'import crewai' 2>/dev/null

lock: ## Renew the lock files (needs uv on the path)
	uv pip compile $(LOCK) --extra gateway -o locks/gateway.txt
	uv pip compile $(LOCK) --extra gateway --extra deploy --group check --group acceptance -c locks/gateway.txt -o locks/development.txt
	uv pip compile $(LOCK) --extra orchestrator -o locks/orchestrator.txt
	uv pip compile $(LOCK) --extra orchestrator --group check -c locks/orchestrator.txt -o locks/orchestrator-development.txt
	uv pip compile $(LOCK:pyproject.toml=) --no-deps locks/engines.in -o locks/engines.txt
LOCK := -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml

clean: ## Remove the environments and everything that was made
	rm -rf $(MAIN) $(FLOWS) dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(MAIN)/.ready: locks/development.txt locks/engines.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Tiergate needs Python 3.11 to 3.13: call make with PYTHON=/path/to/python3.12"; exit 1; }
	@echo "==> Setting up $(MAIN): the gateway, the deploy tool, and the local tiers' engine with its model"
	$(PYTHON) -m venv --without-pip $(MAIN)
	$(PIP) --python $(MAIN)/bin/python install --require-hashes -r locks/development.txt | $(NEWS)
	$(PIP) --python $(MAIN)/bin/python install --require-hashes --no-deps -r locks/engines.txt | $(NEWS)
	$(PIP) --python $(MAIN)/bin/python install -q --no-deps --no-build-isolation -e .
	@touch $@

$(FLOWS)/.ready: locks/orchestrator-development.txt pyproject.toml
	@echo "==> Setting up $(FLOWS): the orchestrator with CrewAI (800 MB, one to two minutes)"
	$(PYTHON) -m venv --without-pip $(FLOWS)
	$(PIP) --python $(FLOWS)/bin/python install --require-hashes -r locks/orchestrator-development.txt | $(NEWS)
	$(PIP) --python $(FLOWS)/bin/python install -q --no-deps --no-build-isolation -e .
	@touch $@
