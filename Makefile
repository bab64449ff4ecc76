# octohost. "make" alone lists what can be made.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Go is often installed where no login shell looks.
export PATH := $(PATH):/usr/local/go/bin
export PREFIX ?= /usr/local
export DESTDIR ?=

# v1.2.3, v1.2.3-4-gabcdef0 after it, v0.0.0-abcdef0 before the first release.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null \
	|| git describe --always --dirty 2>/dev/null | sed 's/^/v0.0.0-/')

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## To use it

.PHONY: setup
setup: ## Install what is missing on this machine: programs, an engine that answers, tools
	@scripts/setup.sh

.PHONY: build
build: ## Build bin/octo
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/octo ./cmd/octo

.PHONY: install
install: build ## Install octo as a service of this machine (PREFIX, DESTDIR)
	@scripts/install.sh install

.PHONY: uninstall
uninstall: ## Remove what install made; data and configuration only with PURGE=yes
	@scripts/install.sh uninstall

.PHONY: demo
demo: ## See a git push make a site live, here, in a minute
	@scripts/setup.sh packages engine
	@$(MAKE) build
	@scripts/demo.sh start

.PHONY: demo-stop
demo-stop: ## Remove everything that the demo made
	@scripts/demo.sh stop

## To work on it

.PHONY: test
test: setup ## Run all tests with the race detector, against the real parts
	@scripts/test.sh all

.PHONY: test-fast
test-fast: ## Run what runs in a moment; skip what is missing here
	@scripts/setup.sh tools
	@scripts/test.sh fast

.PHONY: check
check: ## Look at the code: format, vet, linters, imports, sizes, module files, scripts
	@scripts/setup.sh tools
	@scripts/check.sh

FUZZTIME ?= 5s

.PHONY: fuzz
fuzz: ## Let each fuzz target search for a few seconds (FUZZTIME)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench-push
bench-push: ## Measure a push beside the raw floor of git, docker build and docker run
	@scripts/setup.sh packages engine
	@$(MAKE) build
	@bench/push/run.sh

.PHONY: bench-life
bench-life: ## Measure scale, restart, config:set and rollback beside raw container starts
	@scripts/setup.sh packages engine
	@$(MAKE) build
	@bench/life/run.sh

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin .cache
