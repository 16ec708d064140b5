# dropspot: every target may be run again at any time; `make` alone lists them.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BOOTSTRAP := $(PYTHON) cli/bootstrap.py
DROPSPOT := .venv/bin/dropspot
# MXNet lives in environments of its own: the detector's, and one that holds prep's files against MXNet's own readers
TRAINER := PYTHONPATH=detector_container:prep_container:layers/shared:layers/imaging .envs/detector-train/bin/python
ORACLE := PYTHONPATH=prep_container:layers/shared:layers/imaging:tests .envs/oracle/bin/python
DATASET ?=
FUZZ_CASES ?= 20000
FUZZ_SEED ?= 0
SOAK_IMAGES ?= 5000

export SAM_CLI_TELEMETRY := 0

.PHONY: help setup demo up down deploy test test-full fuzz soak bench-detect bench-prep bench-train bench-resume bench-score bench-serve check format clean bench-quality

help: ## list the targets
	@echo "dropspot: drop a data set, get a detector; drop an image, get its detections."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo DATASET=PATH         the same with a folder or archives of your own"
	@echo "  make demo DATASET=oxford-pets  the same with the Oxford-IIIT Pet data set (800 MB download)"

setup: ## make the Python environments (.venv, .envs); instant when nothing changed
	@$(BOOTSTRAP)

demo: setup ## the whole road on this machine: train, deploy and use a detector
	@$(DROPSPOT) demo $(if $(DATASET),--dataset "$(DATASET)")

up: setup ## start the embedded cloud and deploy the stack to it
	@$(DROPSPOT) up

down: ## stop the embedded cloud and remove its state
	@if [ -x $(DROPSPOT) ]; then $(DROPSPOT) down; else echo "Nothing to stop: no environment has been made."; fi

deploy: ## guided deployment to an AWS account
	@$(BOOTSTRAP) main sam
	@$(DROPSPOT) --aws deploy

test: setup ## every test, the end-to-end ones included
	@$(BOOTSTRAP) oracle
	.venv/bin/python -m pytest tests -m 'not full' --ignore=tests/training --ignore=tests/golden
	$(TRAINER) -m pytest -W default tests/training
	$(ORACLE) -m pytest -W default tests/golden

test-full: setup ## the long end-to-end tests, which train several times
	.venv/bin/python -m pytest tests -m full --ignore=tests/training --ignore=tests/golden

fuzz: setup ## mutated data sets for preparation, mutated pictures for server and handler (FUZZ_CASES=20000, FUZZ_SEED=0)
	PYTHONPATH=tests:prep_container:layers/shared:layers/imaging .envs/prep/bin/python -m fuzz \
		--cases $(FUZZ_CASES) --seed $(FUZZ_SEED)
	PYTHONPATH=tests:detector_container:layers/shared:layers/imaging .envs/detector-serve/bin/python -m fuzz_serving \
		--cases $(FUZZ_CASES) --seed $(FUZZ_SEED)
	PYTHONPATH=tests:layers/shared:layers/imaging .venv/bin/python -m fuzz_images \
		--cases $(FUZZ_CASES) --seed $(FUZZ_SEED)

soak: setup ## thousands of images through the deployed stack under faults (SOAK_IMAGES=5000)
	PYTHONPATH=tests .venv/bin/python -m soak --images $(SOAK_IMAGES)

bench-detect: setup ## measure images in, documents out, against a bare handler in the same place
	PYTHONPATH=tests:benchmarks/common .venv/bin/python benchmarks/detect/run.py

bench-prep: setup ## measure preparation against MXNet's im2rec on this machine
	@$(BOOTSTRAP) oracle oracle-2022
	.venv/bin/python benchmarks/prep/run.py

bench-train: setup ## measure training's pipeline against the bare training step, and that beside GluonCV's
	@$(BOOTSTRAP) gluoncv
	$(TRAINER) benchmarks/train/run.py
	@echo
	.venv/bin/python benchmarks/train/beside_gluoncv.py

bench-resume: setup ## measure whether interrupted trainings end as good as others (ten small trainings)
	.venv/bin/python benchmarks/train/resuming.py

bench-score: setup ## measure what scoring an evaluation costs
	.venv/bin/python benchmarks/score/run.py

bench-serve: setup ## measure what serving costs beyond the detection itself
	.venv/bin/python benchmarks/serve/run.py

bench-quality: setup ## measure how well a training of minutes does on few real pictures
	.venv/bin/python benchmarks/quality/run.py

check: ## lint, types, and the expanded template's checks
	@$(BOOTSTRAP) main
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@set -e; for folder in functions/*/; do \
		echo "mypy $$folder"; \
		(cd "$$folder" && "$(CURDIR)/.venv/bin/mypy" --config-file "$(CURDIR)/pyproject.toml" --cache-dir "$(CURDIR)/.mypy_cache" --no-error-summary .); \
	done
	.venv/bin/python scripts/check_template.py
	.venv/bin/python -m pytest -q tests/unit/template

format: ## let ruff format and mend what it can
	@$(BOOTSTRAP) main
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

clean: down ## remove everything that make has made
	rm -rf .venv .envs .aws-sam .dropspot .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
