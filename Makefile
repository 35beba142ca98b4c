# make run     set up everything and start the app on http://localhost:8501 (make run PORT=8600 for another port)
# make test    set up everything and pass the tests
# make setup   only build the environment
# make check   lint and types
# make bench   speed and memory, as ratios of interleaved runs

PYTHON ?= python3
PORT ?= 8501
VENV ?= .venv
PY = $(VENV)/bin/python
# The stamp's name holds a hash of the requirements, so that a changed requirement is really installed.
KEY := $(shell cat requirements.txt requirements-dev.txt | $(PYTHON) -c "import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])")
RUN_STAMP = $(VENV)/.run-$(KEY)
TEST_STAMP = $(VENV)/.test-$(KEY)

.PHONY: run test setup check bench
setup: $(RUN_STAMP)

run: setup
	$(PY) -m streamlit run app.py --server.port $(PORT)

test: check
	$(PY) -m pytest

check: $(TEST_STAMP)
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(TEST_STAMP)
	$(PY) -m benchmarks

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed, this is ' + sys.version) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(TEST_STAMP): | $(RUN_STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
