# The few commands of the project, the same here and in CI. The first one of a kind prepares .venv (see .ci/bootstrap).
BIN := .venv/bin
JOBS ?= 2

.PHONY: help install run viewer test test-slow test-browser load bench bench-check lint format lock

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: ## Create .venv with the gateway, at the versions of requirements.lock
	@.ci/bootstrap core

run: install ## Serve ./data at http://127.0.0.1:8080 until Ctrl-C; ARGS="--port 9000" adds flags
	@$(BIN)/dicomweb-gateway serve --config config/local.toml $(ARGS)

viewer: install ## Get a viewer for browsers (OHIF) into data/viewer, for `serve --viewer data/viewer`; needs npm, or ARGS="--tarball FILE"
	@$(BIN)/python .ci/viewer $(ARGS)

.PHONY: dev peers
dev:
	@.ci/bootstrap dev

peers:
	@.ci/peers

test: peers lint ## Lint, types, import contracts and all tests but the slow ones; ARGS="-k stow" picks some
	$(BIN)/pytest -n $(JOBS) $(ARGS)

test-slow: peers dev ## The tests that take minutes: crashes, power cuts, long streams
	$(BIN)/pytest -m slow $(ARGS)

test-browser: dev ## The viewer in Chromium: every kind of study; DICOM_CORPUS=FOLDER adds real ones, PICTURES=FOLDER keeps pictures
	@.ci/peers browser
	@$(BIN)/python .ci/viewer
	$(BIN)/pytest -m browser tests/browser $(ARGS)

lint: dev ## Style, types and the import contracts of pyproject.toml
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: dev ## Lay the code out and sort imports
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format

load: ## Load a running gateway with locust: HOST=http://127.0.0.1:8080/dicom-web USERS=8 TIME=30s ARGS="--size small"
	@.ci/bootstrap load
	$(BIN)/locust -f loadtests/locustfile.py --headless --only-summary --host $(or $(HOST),http://127.0.0.1:8080/dicom-web) \
	    --users $(or $(USERS),8) --spawn-rate $(or $(USERS),8) --run-time $(or $(TIME),30s) $(ARGS)

bench: dev ## Measure beside Orthanc, nginx and a bare aiohttp server (docs/benchmark.md); ARGS=--quick takes minutes, ARGS=--help tells more
	@$(BIN)/python -m loadtests.bench $(ARGS)

bench-check: dev ## The same, and hold its ratios against loadtests/bench/baseline.json: by hand, on a quiet machine, before a release
	@$(BIN)/python -m loadtests.bench --check $(ARGS)

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --custom-compile-command "make lock"

lock: dev ## Resolve the locks anew (UPGRADE=--upgrade moves to the newest versions); needs uv, which it installs
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements.lock
	$(COMPILE) $(UPGRADE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) $(UPGRADE) pyproject.toml --extra load -c requirements.lock -o requirements-load.lock
	$(COMPILE) $(UPGRADE) --group build -c requirements-dev.lock -o requirements-build.lock
