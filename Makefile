# Warren. 'make' alone prints the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

MODULE := github.com/warrenmesh/warren
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X $(MODULE)/internal/version.Version=$(VERSION)

# Tools that would bloat go.mod are pinned here; code generators are tool
# directives in go.mod.
BUF_VERSION := v1.75.0
GOLANGCI_LINT_VERSION := v2.15.0
GRPCURL_VERSION := v1.9.4
TOOLS := $(CURDIR)/.tools
BUF := $(TOOLS)/buf-$(BUF_VERSION)
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GRPCURL := $(TOOLS)/grpcurl-$(GRPCURL_VERSION)

# Large third-party programs are built here once and kept.
CACHE_DIR ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/warren

# RabbitMQ version for test, faults, soak, bench and demo: 3.10, 4.0 or 4.3. Empty means
# the one that is running or installed. A missing version is downloaded into CACHE_DIR
# once, which needs Debian and root (internal/localbroker/install).
RABBITMQ ?=
export RABBITMQ CACHE_DIR

# Tests, benchmarks and the demo are a module of their own, test/, so that their
# dependencies are not Warren's. Commands with BOTH see both modules.
BOTH := GOWORK='$(CURDIR)/test/go.work'

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the three binaries into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: ## Run the shop on a real broker: four services, a canary, a trace, 0 lost (KEEP=1 leaves it up)
	@echo "building the demo"
	@mkdir -p .run/bin && $(BOTH) go build -o .run/bin/demo ./test/demo && exec .run/bin/demo

# Everything is built first: a broker that starts while a compiler runs takes minutes. The
# build mode leaves out the programs, which go build would link and throw away each time.
# Packages that wait for brokers leave a core idle, so four run at a time on two cores, and
# those that wait longest come first: the others run beside them.
# make lint runs vet. The race detector makes each of hundreds of programs wait a second
# before it ends, to find races in goroutines that still run: 50 ms are enough.
PACKAGES ?=
# The tests of the system use Warren as its users do, and take as long as all others
# together: the demo, clients of other languages, each block of each page, attacks, faults.
SYSTEM := ./test/abuse ./test/clients ./test/demo ./test/docs ./test/faults
LONGEST := ./test/e2e ./proxy/broker/rabbit ./internal/localbroker ./proxy/broker/membroker
# The driver's conformance suite must have run, on the version of RABBITMQ.
CONFORMANCE := $(if $(PACKAGES),$(filter ./... ./proxy/... ./proxy/broker/rabbit/...,$(PACKAGES)),all)

# $(1) are arguments of report, $(2) packages.
run_tests = GORACE='atexit_sleep_ms=50' go run ./test/withbroker -- go run ./test/report $(1) -- -race -vet=off -count=1 -timeout 20m -p 4 $(2)

.PHONY: test
test: ## Run all tests but those of the system, or those of PACKAGES, with a real RabbitMQ and real binaries
	@echo "compiling with the race detector (minutes when the cache is empty)"
	@$(BOTH) go build -race -buildmode=archive ./... ./test/...
	@export $(BOTH); packages='$(PACKAGES)'; \
	: "$${packages:=$(LONGEST) $$(go list ./... ./test/... | grep -vxF "$$(go list $(SYSTEM) $(LONGEST))")}"; \
	$(call run_tests,$(if $(CONFORMANCE),-require 'queueingtest: rabbit $(RABBITMQ)'),$$packages)

.PHONY: test-system
test-system: ## Run the tests of the system: the demo, clients of other languages, every block of the pages, attacks, faults
	@$(BOTH) $(call run_tests,,$(SYSTEM))

.PHONY: test-short
test-short: ## Run the tests that need neither broker nor binaries
	@$(BOTH) go test -race -short ./... ./test/...

.PHONY: test-files
test-files: ## Change configuration files 1,000 times in each common way, and check that no half-written file is read
	go test -count=1 ./controlplane/source/file -run Half -rounds 1000 -real-rounds 40

.PHONY: test-jaeger
test-jaeger: ## Run the trace tests against a real Jaeger (built once, about 3 minutes)
	@export JAEGER_CACHE='$(CACHE_DIR)/jaeger'; hack/jaeger/jaeger.sh get; \
	$(BOTH) go run ./test/withbroker -- go test -race -count=1 -timeout 5m -v -tags jaeger ./test/jaeger/...

OLD ?=

.PHONY: test-skew
test-skew: ## Run the end-to-end tests with the sidecar, then the control plane, of commit OLD
	hack/skew.sh $(OLD)

.PHONY: jaeger
jaeger: ## Run Jaeger on loopback: a jaeger on PATH, an image, or built from source
	@JAEGER_CACHE='$(CACHE_DIR)/jaeger' hack/jaeger/jaeger.sh

# The program does not run under "go run", so that it handles Ctrl-C itself.
FAULTS := @mkdir -p .run/bin && $(BOTH) go build -o .run/bin/faults ./test/faults/cmd/faults && exec .run/bin/faults

# Rows to run; empty means all. The report is written only for all rows.
ROWS ?=

.PHONY: faults
faults: ## Run every row of the fault matrix (or ROWS=1,8,13-15) on real RabbitMQ nodes and write its section of docs/faults.md
	$(FAULTS) $(if $(ROWS),-rows '$(ROWS)',-report docs/faults.md)

.PHONY: faults-short
faults-short: ## Run the short set of faults (or ROWS of it), with time bounds for a busy machine
	$(FAULTS) -short -rate 2.3 -slow 30 -rows '$(ROWS)'

DURATION ?= 10m
SEED ?= 0
RATE ?= 1

.PHONY: soak
soak: ## Run random faults for DURATION (default 10m); SEED=n repeats a schedule, RATE=n multiplies the load by n
	$(FAULTS) -soak $(DURATION) -seed $(SEED) -rate $(RATE)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (default 10s)
	@$(BOTH) go test -list '^Fuzz' ./... | awk '/^Fuzz/ {f[n++]=$$1} /^ok/ {for (i=0;i<n;i++) print $$2, f[i]; n=0}' | while read -r pkg target; do \
	  echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-10s} "$$pkg"; done

INPUTS ?= 1e8
WORKERS ?= 1

.PHONY: fuzz-frames
fuzz-frames: ## Compare how Warren and amqp091-go read and write INPUTS (default 1e8) streams of AMQP frames; SEED=n repeats them
	@go test -count=1 -timeout 0 -v -run '^TestFramesAreThoseOfTheLibrary$$' ./proxy/broker/rabbit/internal/frame -args -inputs $(INPUTS) -seed $(SEED) -workers $(WORKERS)

.PHONY: bench
bench: bench-build ## Compare with amqp091-go alone on a real broker, all workloads (BENCH='-queue quorum' etc.; about 15 minutes)
	@$(BENCH_RUN) $(BENCH)

.PHONY: bench-quick
bench-quick: bench-build ## The same in two minutes: four workloads, quorum and classic queues, and the ratios in the last lines
	@$(BENCH_RUN) -quick $(BENCH)

.PHONY: bench-curves
bench-curves: bench-build ## Measure how cost grows with topics, routes, subscriptions, streams, sizes, partitions and broker nodes (BENCH='-curve sizes')
	@$(BENCH_RUN) -curves $(BENCH)

.PHONY: bench-build
bench-build:
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o .run/bench/ ./cmd/sidecar ./cmd/controlplane
	@CGO_ENABLED=0 $(BOTH) go build -trimpath -o .run/bench/ ./test/bench ./test/withbroker

BENCH_RUN := .run/bench/withbroker -dir .run/rabbitmq-bench -- .run/bench/bench

# A process each for the control plane and the streams, with a connection a stream.
.PHONY: bench-xds
bench-xds: ## Measure a change until the last ACK of 1,000, 5,000 and 10,000 streams (BENCH='-streams 1000' etc.; about 3 minutes)
	@CGO_ENABLED=0 $(BOTH) go build -trimpath -o .run/bench/bench-xds ./test/bench/streams
	@.run/bench/bench-xds $(BENCH)

.PHONY: bench-reports
bench-reports: ## Measure what a control plane takes for the reports of 10,000 sidecars (BENCH='-streams 1000' etc.; about a minute)
	@CGO_ENABLED=0 $(BOTH) go build -trimpath -o .run/bench/bench-xds ./test/bench/streams
	@.run/bench/bench-xds -streams 10000 -reports 30s $(BENCH)

.PHONY: bench-micro
bench-micro: ## Print time and allocations of the hot path's stages, and check their allocation budgets
	@go test -run '^$$' -bench . -benchmem -benchtime $${BENCHTIME:-1s} ./proxy/...

.PHONY: lint
lint: $(GOLANGCI_LINT) $(BUF) ## Check style, package arrows and protos
	$(GOLANGCI_LINT) run ./...
	cd test && GOWORK=off $(GOLANGCI_LINT) run --config ../.golangci.yml ./...
	$(BUF) lint
	$(BUF) format --diff --exit-code

.PHONY: fmt
fmt: $(GOLANGCI_LINT) $(BUF) ## Format Go and proto files
	$(GOLANGCI_LINT) fmt ./... ./test/...
	$(BUF) format -w

# These tests compare the pages in docs/cli with the commands, or write them.
CLI_REFERENCE := '^TestTheCommandReferenceIsCurrent$$' ./cmd/sidecar ./cmd/controlplane ./cmd/warren

.PHONY: generate
generate: $(BUF) ## Generate Go from the protos, JSON Schemas from the kinds, docs/cli from the commands
	$(BUF) generate
	go run ./api/schema/internal/generate
	go test -run $(CLI_REFERENCE) -update

.PHONY: check-generate
check-generate: $(BUF) ## Fail when generated code is not current
	@rm -rf .run/generate && mkdir -p .run/generate
	@$(BUF) generate -o .run/generate
	@for f in $$(cd .run/generate/api && find . -name '*.go'); do diff -u "api/$$f" ".run/generate/api/$$f" || { echo "api/$$f is not current: run 'make generate'"; exit 1; }; done
	@go run ./api/schema/internal/generate -out .run/generate/schema
	@diff -ru api/schema/v1alpha1 .run/generate/schema || { echo "api/schema is not current: run 'make generate'"; exit 1; }
	@go test -count=1 -run $(CLI_REFERENCE) >/dev/null || { go test -run $(CLI_REFERENCE); exit 1; }
	@echo "generated code is current"

.PHONY: image
image: ## Build the container image warren:VERSION
	docker build --build-arg VERSION='$(VERSION)' -t warren:$(VERSION) .

.PHONY: grpcurl
grpcurl: $(GRPCURL) ## Install the pinned grpcurl into .tools/
	@echo $(GRPCURL)

.PHONY: clean
clean: ## Remove the built programs and the files of the demo
	rm -rf bin .run

define install_tool
@echo "building $(notdir $@) (once)"
@mkdir -p $(TOOLS)/install && GOBIN=$(TOOLS)/install GOFLAGS= go install $(1)
@mv $(TOOLS)/install/$(2) $@
endef

$(BUF):
	$(call install_tool,github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION),buf)
$(GOLANGCI_LINT):
	$(call install_tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION),golangci-lint)
$(GRPCURL):
	$(call install_tool,github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION),grpcurl)
