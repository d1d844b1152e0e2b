# Model Runner Operator: everything a user or a contributor runs. `make help` lists it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
NAMESPACE ?= model-runner-system
# Of the stand-alone server; an empty MODELS_PATH is the user's own folder, or docker's volume.
PORT ?= 12434
# Nobody has to log in: other machines only when asked for (ADDRESS=0.0.0.0).
ADDRESS ?= 127.0.0.1
MODELS_PATH ?=
MODELS ?=
IMAGE ?= model-runner
LLAMA_SERVER_VERSION ?= latest
LLAMA_SERVER_VARIANT ?= cpu
LLAMA_SERVER_SUFFIX = $(addprefix -,$(filter-out cpu,$(LLAMA_SERVER_VARIANT)))$(addprefix -,$(filter-out latest,$(LLAMA_SERVER_VERSION)))
DOCKER_OPTIONS ?=
DOCKER = $(or $(shell command -v docker),$(error there is no docker here: install it, or use `make run`))
PACKAGES := protocol operator runner-image
# Unit tests share nothing, so they may use every core; contract and integration tests mostly wait,
# each file for its own servers; the cluster is one for all tests.
PYTEST := $(RUN) pytest
# Without bytecode each of the many processes that tests start compiles our packages again, and each
# worker every test file: a third of what collecting integration tests costs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "; print "Usage: make <target>\n"} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: venv ## From nothing: a cluster, images, the chart, a model; asks it a question
	@$(RUN) tests.demo up

.PHONY: down
down: venv ## Remove the demo and its cluster; leaves nothing behind
	@$(RUN) tests.demo down
	@$(RUN) tests.cluster down

##@ Stand alone

.PHONY: run
run: venv ## Serve models on this machine, without a cluster (PORT=, ADDRESS=, MODELS_PATH=, MODELS=)
	@program="$${LLAMA_SERVER_PATH:-$$(command -v llama-server || true)}"; \
	if [ -z "$$program" ] && [ ! -x /app/llama-server ]; then \
	  echo "there is no llama-server on PATH: taking the one that the tests use" >&2; \
	  program="$$($(RUN) tests.support.engine)"; \
	fi; \
	export LLAMA_SERVER_PATH="$$program" MODEL_RUNNER_PORT="$(PORT)"; \
	export MODELS_PATH="$(MODELS_PATH)" MODELS="$(MODELS)" RUNNERD_HOST="$(ADDRESS)"; \
	exec $(RUN) runnerd serve

.PHONY: docker-build
docker-build: ## Build the image with docker (LLAMA_SERVER_VERSION=b10434, LLAMA_SERVER_VARIANT=cuda)
	@$(DOCKER) build --file runner-image/Dockerfile --tag "$(IMAGE)" \
	  --build-arg LLAMA_SERVER_SUFFIX="$(LLAMA_SERVER_SUFFIX)" .

.PHONY: docker-run
docker-run: ## Serve models from a container (PORT=, MODELS_PATH=, MODELS=, DOCKER_OPTIONS=)
	@$(DOCKER) image inspect "$(IMAGE)" >/dev/null 2>&1 || $(MAKE) docker-build; \
	folder="$(MODELS_PATH)"; volume=model-runner-models; user=""; \
	if [ -n "$$folder" ]; then \
	  mkdir -p "$$folder"; volume="$$(cd "$$folder" && pwd)"; user="--user=$$(id -u):$$(id -g)"; \
	fi; \
	exec $(DOCKER) run --rm --name model-runner --read-only --tmpfs /tmp \
	  --cap-drop ALL --security-opt no-new-privileges --stop-timeout 130 $$user \
	  --publish "127.0.0.1:$(PORT):12434" --volume "$$volume:/models" \
	  --env MODELS_PATH=/models --env MODELS="$(MODELS)" --env DEFAULT_MODEL --env LLAMA_ARGS \
	  --env DMR_ORIGINS --env HF_TOKEN --env LOG_LEVEL $(DOCKER_OPTIONS) "$(IMAGE)" serve

##@ Cluster

.PHONY: cluster-up
cluster-up: venv ## Start the test cluster (a marked context, else kind, else the embedded one)
	@$(RUN) tests.cluster up

.PHONY: cluster-down
cluster-down: down ## The same as down

.PHONY: kubeconfig
kubeconfig: venv ## Print the path of the test cluster's kubeconfig
	@$(RUN) tests.cluster kubeconfig

.PHONY: gateway-url
gateway-url: venv ## Print the URL at which this machine reaches the gateway
	@$(RUN) tests.demo gateway-url

.PHONY: images
images: venv ## Build both images, print their sizes, load them into the cluster if it is up
	@$(RUN) tests.images build --load

.PHONY: install
install: venv ## Install the chart into the test cluster
	@$(RUN) tests.demo install --namespace $(NAMESPACE)

##@ Check

.PHONY: check
check: static unit contract ## Format, lint, types, layers, generated files, unit and contract tests

.PHONY: static
static: format lint types layers drift ## What needs no test to run: format, lint, types, layers, generated files

.PHONY: format
format: venv ## Fail if a file is not formatted (`make fix` formats)
	@$(BIN)/ruff format --check .

.PHONY: fix
fix: venv ## Format, and mend what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: lint
lint: venv ## Lint
	@$(BIN)/ruff check .

.PHONY: types
types: venv ## Check types
	@$(BIN)/mypy

.PHONY: layers
layers: venv ## Check who may import whom
	@$(BIN)/lint-imports --no-cache

.PHONY: drift
drift: venv ## Fail if a generated file differs from its source
	@$(RUN) modelrunner crds --check --reference docs/reference crds
	@$(RUN) release.copies --check

.PHONY: unit
unit: venv ## Unit tests
	@$(PYTEST) -q -n auto tests/unit

.PHONY: contract
contract: tools ## Contract tests: schemas, chart, wire shapes against a real API server
	@$(PYTEST) -q -n 2 --dist loadfile tests/contract

.PHONY: test
test: static tools ## Every check and every test, on a real cluster, from nothing
	@$(RUN) coverage erase
	@$(RUN) coverage run -m pytest -q -n auto tests/unit
	@$(RUN) coverage run -m pytest -q -n 2 --dist loadfile tests/contract
	@$(MAKE) integration
	@$(MAKE) e2e
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report --fail-under=95 --format=total | sed 's/^/coverage %: /'

.PHONY: integration
integration: tools ## Integration tests: real servers, a real API server, real engines
	@$(RUN) coverage run -m pytest -q -n 2 --dist loadfile tests/integration

.PHONY: e2e
e2e: tools ## Tests on a real cluster
	@$(RUN) coverage run -m pytest -q -n 2 --dist loadfile -m "not alone" tests/e2e
	@$(RUN) coverage run -m pytest -q -m alone tests/e2e

.PHONY: bench
bench: tools ## Measure; both sides in one run, ratios printed
	@$(RUN) tests.perf

##@ Make

.PHONY: crds
crds: venv ## Write crds/ and the reference pages from the models, and the chart's copies
	@$(RUN) modelrunner crds --reference docs/reference crds
	@$(RUN) release.copies

.PHONY: manifests
manifests: tools ## Render the chart as static YAML into dist/
	@$(RUN) release.manifests

.PHONY: lock
lock: venv ## Resolve the dependencies anew into requirements/*.txt
	@UV=$(BIN)/uv bash requirements/lock.sh

.PHONY: tools
tools: venv ## Build Kubernetes, containerd, helm and kind for tests (once)
	@$(RUN) tests.cluster build

.PHONY: venv
venv: $(VENV)/ready

# To stderr, so that `$(make -s kubeconfig)` is a path on a fresh checkout, too.
$(VENV)/ready: requirements/dev.txt $(PACKAGES:%=%/pyproject.toml)
	@exec >&2; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'; \
	echo "installing the Python packages of requirements/dev.txt (about a minute, once)"; \
	$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt-get install python3-venv"; exit 1; }; \
	$(BIN)/pip install --disable-pip-version-check --require-hashes --requirement requirements/dev.txt \
	  | awk '/^Collecting|^Installing/ && NR % 5 == 1 {print "  " substr($$0, 1, 100); fflush()}'; \
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation $(PACKAGES:%=--editable %)
	@touch $@
