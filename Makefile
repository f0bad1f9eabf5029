# make help lists the targets. Everything installs itself into .venv first; nothing outside this folder is touched.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PHASE ?= B
SECONDS ?= 20
EVERY ?= 1
CYCLES ?= 1000
LOAD ?= 60
TARGET ?= autosave
BASE ?= origin/main
POLICY ?= policy/policy.yaml
SAMPLE := tests/samples/$(TARGET)
# The logs that the collector sealed, or where there are none the sample, at the time it was made for.
HAS_LOGS := $(wildcard logs/$(TARGET)/*.jsonl logs/$(TARGET)/*.jsonl.gz logs/$(TARGET)/*.jsonl.zst)
AS_OF := $(if $(HAS_LOGS),,$(shell cat $(SAMPLE)/as-of 2>/dev/null))
LOGS := $(if $(AS_OF),--logs $(SAMPLE)/logs --as-of $(AS_OF),$(if $(filter-out autosave,$(TARGET)),--logs logs/$(TARGET)))
SOURCE := --policy $(POLICY) $(LOGS)

.DEFAULT_GOAL := help
.PHONY: help check explain replay status validate review test queries mutants fuzz attacks browser fleet flows crash loop peers hooks lint fix docs demo bench oracles clean

help: ## List the targets.
	@sed -nE 's/^([a-z]+):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name what; do printf '%-9s %s\n' "$$name" "$$what"; done

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

check: $(READY) ## Check PHASE (B) of POLICY: measure, judge, decide, show.
	@$(if $(AS_OF),echo "no batches in logs/$(TARGET)/: checking the sample with $(LOGS)" >&2;) \
	$(BIN)/phasegate check --phase $(PHASE) $(SOURCE)

explain: $(READY) ## Say why: the values, the worst rows, what broke the streak.
	@$(BIN)/phasegate explain --phase $(PHASE) $(SOURCE)

status: $(READY) ## Show the phase, the gate's progress, what is open.
	@$(BIN)/phasegate status $(SOURCE)

validate: $(READY) ## Check the governed files and the documents.
	@$(BIN)/phasegate validate --policy $(POLICY)

review: $(READY) ## Review by its consequences what changed in the policy since BASE (origin/main).
	@$(if $(AS_OF),echo "no batches in logs/$(TARGET)/: reviewing over the sample in $(SAMPLE)" >&2;) \
	$(BIN)/phasegate review --base '$(BASE)' $(subst --as-of,--until,$(SOURCE))

fuzz: $(READY) ## Fuzz the readers of policies, schemas and lines, SECONDS (20) each.
	@set -e; for target in policy event_schema lines batch; do \
	  echo "fuzzing $$target for $(SECONDS) s …"; $(BIN)/python -m tests.fuzz.run $$target $(SECONDS); done

queries: $(READY) ## Run the queries' own tests.
	@$(BIN)/phasegate test --policy $(POLICY)

mutants: $(READY) ## Nudge each threshold, comparison and filter: the queries' tests must notice 90 %.
	@$(BIN)/phasegate test --mutate --at-least 90 --policy $(POLICY)

test: $(READY) ## Run all tests, the queries' own among them.
	@$(BIN)/phasegate validate --policy $(POLICY)
	@$(BIN)/phasegate test --policy $(POLICY)
	@$(BIN)/python -m pytest -n auto --dist worksteal

attacks: $(READY) ## Carry out each attack: stopped, and let through with the layer off that stops it.
	@$(BIN)/python -m pytest -n 2 --dist worksteal tests/guarded tests/unguarded

flows: $(READY) ## Run what takes many commands: from an incident to its end, from a change to its approval.
	@$(BIN)/python -m pytest -n auto --dist worksteal tests/flows

fleet: $(READY) ## Measure on a Ray cluster of two raylets (installs Ray, 80 MB).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,ray]'
	@$(BIN)/python -m pytest tests/fleet

crash: $(READY) ## Kill the commands at every EVERY-th (1) point at which they write or send.
	@PHASEGATE_CRASH=$(EVERY) $(BIN)/python -m pytest -n 2 tests/crash

PEERS := $(VENV)/peers

peers: $(READY) ## Speak with a real Prometheus (unpacks Debian's into .venv, where there is none).
	@command -v promtool >/dev/null || test -x $(PEERS)/usr/bin/promtool || { echo "fetching prometheus …" >&2; \
	  rm -rf $(PEERS) && mkdir -p $(PEERS) && cd $(PEERS) && \
	  { apt-get download --quiet --quiet prometheus >/dev/null 2>&1 || \
	  { $$([ $$(id -u) = 0 ] || echo sudo) apt-get update --quiet >/dev/null && apt-get download --quiet --quiet prometheus >/dev/null; }; } && \
	  dpkg --extract prometheus_*.deb . && rm prometheus_*.deb; }
	@PATH="$(abspath $(PEERS))/usr/bin:$$PATH" PHASEGATE_PEERS=required $(BIN)/python -m pytest tests/peers

hooks: $(READY) ## Let pre-commit install and run our hooks (needs the package registry).
	@$(BIN)/python -m pytest tests/hooks

loop: $(READY) ## Run the loop on a fast clock: a day, a load, trouble, CYCLES (1000) of a soak.
	@PHASEGATE_SOAK=$(CYCLES) PHASEGATE_LOAD_S=$(LOAD) $(BIN)/python -m pytest tests/loop $(ONLY)

browser: $(READY) ## Look at the dashboard in Chromium (installs Debian's, where there is none).
	@command -v chromium >/dev/null || { echo "installing chromium …" >&2; \
	  $$([ $$(id -u) = 0 ] || echo sudo) apt-get install --yes --quiet --quiet chromium >/dev/null 2>&1 || \
	  { $$([ $$(id -u) = 0 ] || echo sudo) apt-get update --quiet >/dev/null && \
	    $$([ $$(id -u) = 0 ] || echo sudo) apt-get install --yes --quiet --quiet chromium >/dev/null; }; }
	@PHASEGATE_BROWSER=required $(BIN)/python -m pytest -n 2 tests/browser

lint: $(READY) ## Look for faults; changes nothing.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(READY) ## Format, and mend what can be mended.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY) ## Renew the tables in the documents from the policy.
	@$(BIN)/phasegate docs --policy $(POLICY)

demo: $(READY) ## See a healthy rollout and each kind of trouble, judged.
	@bash docs/demo.sh

bench: $(READY) ## Measure it beside a hand-written scan and Polars (minutes, 1.4 GB).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	@$(BIN)/python bench/run.py
	@$(BIN)/python bench/child.py

oracles: $(READY) ## Compare with the independent answers in DATA (real telemetry).
	@$(BIN)/python -m tests.oracles $(DATA)

clean: ## Remove what was installed and cached.
	rm -rf $(VENV) .phasegate .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
