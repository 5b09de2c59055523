# Every task does its own set-up: `make demo` and `make test` work in a fresh clone.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env demo test peer peer-folder lint fix docs train evaluate-default twins pins dist container container-test clean

# The first usable interpreter; another: `make env PYTHON=/path/to/python3.12`
PYTHON ?= $(shell for p in python3 python3.11 python3.12; do $$p -c \
	'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= 2

# The jobs of the workflow call `columna` by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

env: .venv/installed ## Install everything, with the pins of envs/constraints.txt, into .venv

.venv/installed: envs/constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "columna needs Python 3.11 or 3.12 with its venv module (see" \
		"docs/install.md). Found none; name one: make env PYTHON=/path/to/python3.12" >&2; exit 1; }
	@.venv/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@echo "Installing into .venv: minutes the first time, gigabytes because of torch"
	@python -m pip --disable-pip-version-check install --quiet \
		-c envs/constraints.txt -e '.[dev]'
	@python -c 'from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor'
	@touch $@

# DATA=folder adds the NIfTI files of that folder to the cohort.
demo: env demo/cohort/cohort.tsv ## Run the whole workflow over a small synthetic cohort
	columna index --configfile config/demo.yaml
	snakemake --configfile config/demo.yaml --cores all --quiet rules host
	columna summary --configfile config/demo.yaml
	columna phantom score --configfile config/demo.yaml
	@echo "Report, opens in a browser: $$(realpath demo/results/report/index.html)"
	@printf '%s\n' '' 'Three things to do next (first: source .venv/bin/activate):' \
		'  1. See what the tables in demo/results/tables hold: docs/reading-tables.md' \
		'  2. Segment a scan of yours: columna segment scan.nii.gz --out result' \
		'  3. Run your cohort: columna run --cohort SHEET_OR_BIDS --results FOLDER'

# Not a DATA of the environment, which may name anything
ifeq ($(origin DATA),command line)
.PHONY: demo/cohort/cohort.tsv
OWN := --data "$(DATA)"
endif
demo/cohort/cohort.tsv: | .venv/installed
	columna phantom demo --out demo/cohort $(OWN)

# Trainings run in processes of their own (models/loaded.py: may_compile), and so do their tests.
test: env ## Run all tests
	python -m pytest -n $(WORKERS) --dist loadgroup --ignore tests/unit/train
	python -m pytest -n $(WORKERS) --dist loadgroup tests/unit/train

peer: peer-folder env .venv-peer/installed ## Compare with the released SPINEPS: COLUMNA_PEER=FOLDER
	python -m pytest tests/peer
	python benchmarks/peer/parity.py
	python benchmarks/peer/chain.py
	python benchmarks/peer/speed.py

peer-folder:
	@test -d "$${COLUMNA_PEER:-}/models" || { echo "make peer needs COLUMNA_PEER=FOLDER, the folder" \
		"of stand-in models, scans and stored answers that docs/peer.md describes." >&2; exit 1; }

# SPINEPS in an environment of its own, since its pins are not ours
.venv-peer/installed: tests/peer/constraints.txt | .venv/installed
	@echo "Installing SPINEPS into .venv-peer: minutes, gigabytes"
	@.venv/bin/python -m venv --clear .venv-peer
	@.venv-peer/bin/python -m pip install --quiet -c $< torch
	@.venv-peer/bin/python -m pip install --quiet -c $< spineps
	@.venv-peer/bin/python -m pip uninstall --quiet --yes torchvision
	@touch $@

lint: env ## Check style and types: ruff, mypy, import-linter, snakefmt, snakemake, hadolint, codespell
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	snakefmt --check Snakefile workflow
	snakemake --lint
	hadolint containers/Dockerfile
	git ls-files -z '*.md' '*.py' '*.smk' '*.yaml' '*.tsv' '*.toml' | xargs -0 codespell

fix: env ## Repair style
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

docs: env ## Write the files that are generated from the code
	python -m columna.docs

train: env ## Train networks as config/train.yaml says (docs/training.md)
	snakemake train --cores all

# Real scans: DATA=folder. Other models: SEMANTIC=folder INSTANCE=folder. Against one phase: ONE_PHASE=folder
SEMANTIC ?= bundled_semantic
INSTANCE ?= bundled_instance
JUDGED := --threads $(WORKERS) $(if $(DATA),--data $(DATA))
evaluate-default: env ## Judge the bundled models on held-out phantoms and on real scans
	columna train evaluate --out results/evaluate-default --semantic $(SEMANTIC) \
		--instance $(INSTANCE) $(JUDGED)
ifdef ONE_PHASE
	columna train evaluate --out results/evaluate-one-phase --one-phase $(ONE_PHASE) $(JUDGED)
	columna compare results/evaluate-default results/evaluate-one-phase --name two-phase \
		--name one-phase --out results/evaluate-comparison
	@cat results/evaluate-comparison/comparison.md
else
	@echo "Against a network of one phase: ONE_PHASE=folder of its model (docs/baseline.md)"
endif

TWINS ?= 50
twins: env demo/results/tables/scans.parquet ## The expected error of measures on the demo's grids (hours: TWINS=10)
	columna twins --n $(TWINS) --configfile config/demo.yaml --threads $(WORKERS)

demo/results/tables/scans.parquet: | .venv/installed
	$(MAKE) demo

pins: env ## Write the versions in .venv to envs/
	python envs/pins.py

dist: .venv-release/installed ## Build and check what a release holds, into dist/ (docs/releasing.md)
	.venv-release/bin/check-manifest --no-build-isolation
	.venv-release/bin/reuse lint --quiet
	.venv-release/bin/cffconvert --validate
	rm -rf build dist
	.venv-release/bin/python -m build --no-isolation
	.venv-release/bin/twine check --strict dist/*
	cp envs/constraints.txt dist/

# The tools of a release in an environment of their own, since nothing else needs them
.venv-release/installed: envs/release.txt | .venv/installed
	@.venv/bin/python -m venv --clear .venv-release
	@.venv-release/bin/python -m pip install --quiet -r $<
	@touch $@

VERSION = $(shell python -c 'import columna; print(columna.__version__)')
container: dist ## Build the container image (needs Docker)
	docker build -f containers/Dockerfile -t columna:$(VERSION) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD) .

container-test: demo/cohort/cohort.tsv ## Run the demo cohort in the image, without a network
	mkdir -p demo/container
	docker run --rm --network none --user "$$(id -u):$$(id -g)" -v "$(CURDIR)/demo:/demo" \
		columna:$(VERSION) run --cohort /demo/cohort/cohort.tsv --results /demo/container

clean: ## Remove the demo, the environment and caches; never results/
	rm -rf demo .venv .venv-peer .venv-release .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf build dist
