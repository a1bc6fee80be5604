# make app: open the app with the demo dataset.  make test: run every test.  Both set themselves up.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
  $$p -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PORT ?= 8501
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# MAD_PINNED=1: the exact versions that were tested, checked by their digests, for those who serve.
READY := .venv/ready$(if $(filter 1,$(MAD_PINNED)),-pinned)

.PHONY: app setup truth test test-hard lint bench audit pin clean browser dev

app: setup
	@$(BIN)/python -m mad_core demo
	@$(BIN)/streamlit run app.py --server.port $(PORT)

setup: $(READY)

# Files side by side, one more than processors (tests/conftest.py says why), each with one thread; a process that crashes
# ends the run, which else would wait for it for ever.
test: dev browser
	@PYTHONDONTWRITEBYTECODE= HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile \
	  --no-loadscope-reorder --max-worker-restart=0 $(ARGS)

# Bad input, faults and scale: too long for every day. Each test says itself how long it may take; the watch over those
# of every day would end them after 15 minutes. What measures how fast answers come has the machine for itself, after
# all else, in which two files run side by side. Without a test that ARGS="-k ..." asks for, pytest ends with 5.
HARD = HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m hard -o faulthandler_timeout=3900
MEASURED := tests/hard/test_scale.py tests/hard/test_sessions.py
test-hard: dev browser
	@$(HARD) -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0 \
	  $(filter-out $(MEASURED),$(wildcard tests/hard/test_*.py)) $(ARGS); first=$$?; \
	$(HARD) $(MEASURED) $(ARGS); second=$$?; \
	case $$first$$second in 00|05|50) ;; *) exit 1;; esac

lint: dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	@$(BIN)/python -m tools.lint_js

# What intervals cover and what studies claim, by simulation with known truth, into docs/metrics.md.
truth: dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.statistics --write

# Speed against others, in one table that goes into docs/speed.md. Leave the machine alone meanwhile.
bench: dev browser
	@$(BIN)/python -m tests.benchmarks --write

# Known vulnerabilities in the installed packages; needs the network, and says so where there is none.
audit: setup
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install -q "pip-audit>=2.10,<3"; }
	@$(BIN)/python -m tools.vulnerable .venv-audit/bin/pip-audit

# Exact versions of this environment, with digests, into constraints.txt; needs the network. Run the tests before.
pin: setup
	@test -x .venv-pin/bin/uv || { $(PYTHON) -m venv .venv-pin && .venv-pin/bin/python -m pip install -q "uv>=0.9,<1"; }
	@$(BIN)/python -m tools.pin .venv-pin/bin/uv

dev: .venv/dev

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed (Debian: apt-get install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is needed (Debian: apt-get install python3-venv)." >&2; rm -rf .venv; exit 1; }

.venv/ready: requirements.txt $(wildcard requirements/*.txt) | .venv/bin/python
	@echo "Installing what the app needs into .venv (a few minutes the first time) ..."
	@$(BIN)/python -m pip install -q -r requirements.txt
	@touch $@

.venv/ready-pinned: constraints.txt | .venv/bin/python
	@echo "Installing the tested versions into .venv (a few minutes the first time) ..."
	@$(BIN)/python -m pip install -q --require-hashes -r constraints.txt
	@touch $@

.venv/dev: $(wildcard requirements-*.txt) .venv/ready
	@$(BIN)/python -m pip install -q -r requirements-dev.txt
	@touch $@

# Browser journeys need Chromium; without it and without the right to install it they skip and say so.
browser:
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null 2>&1 && echo "Installing Chromium for the browser tests ..." && \
	apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	echo "Chromium is not here: the browser tests will skip (Debian: apt-get install chromium)." >&2

clean:
	@rm -rf .venv .venv-audit .venv-pin .pytest_cache .ruff_cache .hypothesis
