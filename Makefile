# `make` lists the targets. PORT=<first of four> moves the local platform's ports.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := $(CURDIR):$(CURDIR)/libs/common
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup run up down cdk deploy smoke test check fmt lock docs new-service bench imports sizes
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

EXPLORER := services/graphql/chalicelib/graphql/explorer.html
setup: .venv/.ready infra/local/node/node_modules/.ready $(EXPLORER) ## install everything the project needs, into .venv

.venv/.ready: requirements.lock
	@echo "Installing Python packages …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	@$(BIN)/uv pip sync --python $(BIN)/python --compile-bytecode requirements.lock
	@touch $@

infra/local/node/node_modules/.ready: infra/local/node/package-lock.json .venv/.ready
	@echo "Installing the CDK CLI …"
	@cd infra/local/node && npm ci --silent --no-audit --no-fund
	@touch $@

$(EXPLORER): $(wildcard services/graphql/explorer/*.*)
	@echo "Building the GraphQL explorer …"
	@cd services/graphql/explorer && npm ci --silent --no-audit --no-fund --ignore-scripts && node build.mjs

run: setup ## start the platform, do the main job before your eyes, serve until Ctrl-C (ONCE=1: end after the job)
	@python -m infra.local run

up: setup ## start the platform in the background
	@python -m infra.local up

down: ## stop the platform that `make up` started
	@$(BIN)/python -m infra.local down

cdk: setup ## the CDK for real stages: make cdk c="deploy --all -c stage=staging"
	@node infra/local/node/node_modules/aws-cdk/bin/cdk $(c)

deploy: setup ## deploy one service to the running platform: make deploy s=agents
	@python -m infra.local deploy $(s)

smoke: setup ## whether the running platform does its main job: make smoke, or make smoke s=staging
	@python -m infra.smoke $(if $(s),--stage $(s))

test: check tests/node/node_modules/.ready ## every check and every test
	@python -m tests.run

tests/node/node_modules/.ready: tests/node/package-lock.json .venv/.ready
	@cd tests/node && npm ci --silent --no-audit --no-fund
	@touch $@

check: setup ## format, lint, types, import contracts, generated files
	@ruff format --check .
	@ruff check .
	@python -m tests.types
	@PYTHONPATH=.:libs/common:$$(echo services/* | tr ' ' ':') lint-imports --no-cache
	@python -m docs.generate --check

fmt: setup ## format and fix what can be fixed
	@ruff check --fix --quiet . ; ruff format --quiet .

docs: setup ## regenerate what docs/ and contracts/ say of the code
	@python -m docs.generate
	@python -m tests.contracts

new-service: setup ## a service that passes every check: make new-service NAME=reports
	@python -m infra.new_service $(NAME)

bench: setup ## measure; writes bench/latest.json
	@python -m bench

imports: setup ## cold import cost of every Lambda function
	@python -m bench.imports

sizes: setup ## how large each deployment package is, against Lambda's limits
	@python -m infra.sizes

lock: ## resolve requirements.lock anew
	@$(BIN)/uv pip compile --quiet --universal --group dev --generate-hashes --no-header --no-annotate -o requirements.lock pyproject.toml
