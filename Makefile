# What a developer and CI do here. `make` alone lists the targets.
#
# Ordinary build flags are the same everywhere (nothing but -race for the tests), so that
# one build cache serves them all. Every verify-x that fails names the update-x that mends it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The version comes from git by VERSION, not by the go command: a clone that git does not
# trust must build too.
export GOFLAGS := $(filter-out -buildvcs=%,$(shell go env GOFLAGS)) -buildvcs=false
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -X github.com/gopprof/gopprof/pkg/ops.version=$(VERSION)

TOOLS   := .cache/bin
TESTFLAGS ?=
# DEMO=once: end after the report has arrived.
DEMO ?=
# How long each fuzz test searches.
FUZZTIME ?= 1m

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##### Building

.PHONY: build
build: ## bin/agent, bin/aggregator and bin/kubectl-gopprof
	go build -ldflags '$(LDFLAGS)' -o bin/ ./agent ./aggregator ./cmd/kubectl-gopprof

.PHONY: tools
tools: $(TOOLS)/influxd $(TOOLS)/versitygw $(TOOLS)/kustomize $(TOOLS)/monitors $(TOOLS)/nats $(TOOLS)/nats-server-2.10 $(TOOLS)/promtool $(TOOLS)/prometheus-alertmanager $(TOOLS)/staticcheck graphviz chromium curl ## what tests and the demo need: influxd, versitygw, kustomize, monitors, nats, nats-server, prometheus, alertmanager, staticcheck, graphviz, chromium, curl

$(TOOLS)/influxd: tools/influxd/go.mod tools/influxd/go.sum
	go build -C tools/influxd -o '$(CURDIR)/$@' github.com/influxdata/influxdb/cmd/influxd

$(TOOLS)/versitygw: tools/versitygw/go.mod tools/versitygw/go.sum
	go build -C tools/versitygw -o '$(CURDIR)/$@' github.com/versity/versitygw/cmd/versitygw

$(TOOLS)/kustomize: tools/kustomize/go.mod tools/kustomize/go.sum
	go build -C tools/kustomize -o '$(CURDIR)/$@' sigs.k8s.io/kustomize/kustomize/v5

$(TOOLS)/monitors: tools/monitors/go.mod tools/monitors/go.sum tools/monitors/main.go
	go build -C tools/monitors -o '$(CURDIR)/$@' .

$(TOOLS)/nats: tools/natscli/go.mod tools/natscli/go.sum
	go build -C tools/natscli -o '$(CURDIR)/$@' github.com/nats-io/natscli/nats

# The oldest that gopprof works with: README.
$(TOOLS)/nats-server-2.10: tools/nats-server/go.mod tools/nats-server/go.sum
	go build -C tools/nats-server -o '$(CURDIR)/$@' github.com/nats-io/nats-server/v2

$(TOOLS)/promtool: tools/unpack.sh # and prometheus
	@tools/unpack.sh '$(TOOLS)' prometheus prometheus promtool

$(TOOLS)/prometheus-alertmanager: tools/unpack.sh # and amtool
	@tools/unpack.sh '$(TOOLS)' prometheus-alertmanager /usr/share/prometheus/alertmanager/default.tmpl \
		/usr/share/prometheus/alertmanager/email.tmpl prometheus-alertmanager amtool

$(TOOLS)/staticcheck: tools/lint/go.mod tools/lint/go.sum
	go build -C tools/lint -o '$(CURDIR)/$@' honnef.co/go/tools/cmd/staticcheck

.PHONY: graphviz
graphviz:
	@tools/install.sh dot graphviz

.PHONY: chromium
chromium: # with a font, or pages have no text
	@tools/install.sh chromium chromium fonts-dejavu-core

.PHONY: curl
curl: # the command that pages show, which a test runs
	@tools/install.sh curl curl

.PHONY: compiler
compiler: # the race detector needs cgo
	@tools/install.sh "$$(go env CC)" gcc libc6-dev

##### Running

.PHONY: demo
demo: build $(TOOLS)/influxd graphviz ## the whole of gopprof with real parts on this machine; DEMO=once ends by itself
	@go build -o $(TOOLS)/ ./test/burner ./test/demo
	@$(TOOLS)/demo $(if $(filter once,$(DEMO)),-once)

##### Testing

.PHONY: test
test: tools compiler ## every test, with the race detector; pictures of the pages stay in .cache/screenshots
	GOPPROF_SCREENSHOTS='$(CURDIR)/.cache/screenshots' go test -race -timeout 25m $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## every fuzz test in turn, for FUZZTIME (1m) each
	tools/fuzz.sh $(FUZZTIME) $(TESTFLAGS)

# How long the soak goes on, and the seed of one that is to be repeated.
SOAK ?= 30m
SEED ?=
.PHONY: soak
soak: $(TOOLS)/influxd graphviz ## fifty targets and one fault after the other for SOAK=30m, then the account; SEED=n repeats one
	go test -count=1 -v -timeout 0 $(TESTFLAGS) ./test/soak -run '^TestSoak$$' -soak.length=$(SOAK) $(if $(SEED),-soak.seed=$(SEED))

.PHONY: e2e e2e-images
e2e: e2e-images ## the main job in the cluster of KUBECONFIG: test/e2e/README.md
	GOPPROF_E2E=1 go test -count=1 -v -timeout 60m $(TESTFLAGS) ./test/e2e/kubernetes
e2e-images: # built, and loaded by the command LOAD
	test/e2e/images.sh

.PHONY: bench
BENCH ?=
bench: build $(TOOLS)/influxd graphviz ## what it costs, beside its peers, in the same run: docs/benchmarks.md; BENCH=agent runs one
	@go build -o $(TOOLS)/ ./test/burner ./test/bench
	@$(TOOLS)/bench -only '$(BENCH)'

.PHONY: explain-bench
# CASE: a regular expression of the cases to run; EXPLAIN: more flags, as in "-json out.json -keep out".
CASE ?=
EXPLAIN ?=
explain-bench: build $(TOOLS)/influxd graphviz ## does the report find the cause? Planted ones, one after the other: test/explain; CASE=sort runs one
	@go build -o $(TOOLS)/ ./test/burner
	@go build -o $(TOOLS)/explain ./test/explain
	@$(TOOLS)/explain -case '$(CASE)' $(EXPLAIN)

# The pod is quiet for some minutes first, so that the picture shows what was before.
.PHONY: update-example
update-example: ## docs/example: a real report of explain-bench, its text and pictures
	@rm -rf .cache/example
	@$(MAKE) explain-bench CASE=one-of-six EXPLAIN='-before 6m -keep .cache/example'
	go run ./docs/gen -example .cache/example/one-of-six/hot

.PHONY: update-pictures
update-pictures: tools ## docs/example: pictures of the pages, as the test that walks them sees them
	@rm -rf .cache/pictures
	GOPPROF_SCREENSHOTS='$(CURDIR)/.cache/pictures' go test -count=1 -timeout 10m -run '^TestPages$$' ./test/e2e
	go run ./docs/gen -pictures .cache/pictures/TestPages

.PHONY: lint
lint: verify-fmt verify-vet verify-staticcheck verify-imports verify-tidy verify-docs verify-shell ## every static check

.PHONY: update
update: update-fmt update-tidy update-docs update-goldens ## whatever the checks ask for

.PHONY: verify-fmt update-fmt
verify-fmt:
	@files=$$(gofmt -l .); [[ -z $$files ]] || { echo "not formatted:" $$files; echo "run \`make update-fmt\`"; exit 1; }
update-fmt:
	gofmt -w .

.PHONY: verify-vet
verify-vet: compiler
	go vet ./...

.PHONY: verify-staticcheck
verify-staticcheck: $(TOOLS)/staticcheck
	$(TOOLS)/staticcheck ./...

.PHONY: verify-imports
verify-imports:
	go test ./test/imports

MODULES := . tools/influxd tools/kustomize tools/lint tools/monitors tools/natscli tools/nats-server tools/versitygw
.PHONY: verify-tidy update-tidy
verify-tidy:
	@rc=0; for m in $(MODULES); do go mod tidy -C $$m -diff || { echo "$$m/go.mod is not tidy: run \`make update-tidy\`"; rc=1; }; done; exit $$rc
update-tidy:
	for m in $(MODULES); do go mod tidy -C $$m; done

.PHONY: verify-docs update-docs
verify-docs:
	@go run ./docs/gen -check || { echo "run \`make update-docs\`"; exit 1; }
update-docs:
	go run ./docs/gen

# Goldens are written by the tests that read them: those with a flag named update.
GOLDENS = $(addprefix ./,$(sort $(dir $(shell grep -rl --include='*_test.go' 'flag.Bool."update"' agent aggregator cmd docs pkg test 2>/dev/null))))
.PHONY: update-goldens
update-goldens:
	for p in $(GOLDENS); do go test -count=1 $$p -update; done

.PHONY: verify-shell
verify-shell:
	@tools/install.sh shellcheck shellcheck
	@shellcheck .ci/run tools/*.sh test/e2e/*.sh docs/examples/*.sh

.PHONY: clean
clean: ## remove what was built; the tools stay (rm -r .cache for them)
	rm -rf bin
