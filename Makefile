# make run     set up everything and start the app on http://localhost:8501 (make run PORT=8600 for another port;
#              make run HOST=0.0.0.0 serves a classroom and prints the address and its QR code;
#              make run CHECKPOINTS=FOLDER adds your own files of weights for networks of the table)
# make class   the same for a large class: several servers behind one address (REPLICAS=n, by default one for every two cores;
#              PORT=, HOST=); needs HAProxy (apt-get install haproxy)
# make test    set up everything and pass the tests, those in a browser (make test-browser) beside the others (make test-python)
# make setup   only build the environment
# make check   lint and types
# make bench   speed and memory, as ratios of interleaved runs
# make load    a class of thirty at the app for five minutes: how long they wait (Linux only)
# make models  other people's networks, taken by resnet_viz.adapt and each compared with its model; installs 250 MB of
#              packages into .venv-models, beside the environment (make models NAMES="timm monai" for some of them;
#              make models PRETRAINED=1 adds networks with trained weights, over ImageNet pictures with DATA=FOLDER)
# make screenshots   pictures of every page for docs/, from the running app

PYTHON ?= python3
PORT ?= 8501
HOST ?= localhost
CHECKPOINTS ?= $(RESNET_VIZ_CHECKPOINTS)
VENV ?= .venv
PY = $(VENV)/bin/python
# The stamp's name holds a hash of the requirements, so that a changed requirement is really installed.
KEY := $(shell cat requirements.txt requirements-dev.txt | $(PYTHON) -c "import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])")
RUN_STAMP = $(VENV)/.run-$(KEY)
TEST_STAMP = $(VENV)/.test-$(KEY)
MODELS_VENV ?= .venv-models
MODELS_STAMP = $(MODELS_VENV)/.models-$(KEY)

.PHONY: run class test test-browser test-python setup check bench load models screenshots
setup: $(RUN_STAMP)

run: setup
	@if [ "$(HOST)" != localhost ]; then $(PY) -m resnet_viz.web.shell.address $(PORT); fi
	RESNET_VIZ_CHECKPOINTS="$(CHECKPOINTS)" $(PY) -m streamlit run app.py --server.port $(PORT) --server.address $(HOST)

REPLICAS ?=
class: setup
	$(PY) -m resnet_viz class --port $(PORT) --host $(if $(filter localhost,$(HOST)),0.0.0.0,$(HOST)) --folder .class \
		$(if $(REPLICAS),--replicas $(REPLICAS))

# One thread for each half: with more of them two processes wait for each other on two cores.
test: check
	OMP_NUM_THREADS=1 $(MAKE) --jobs 2 --output-sync test-browser test-python

# The command line keeps the browser company, so that both halves take equally long.
BESIDE_THE_BROWSER = tests/test_cli.py tests/test_training_cli.py tests/jobs/test_worker.py
test-browser:
	$(PY) -m pytest tests/browser $(BESIDE_THE_BROWSER)

test-python:
	$(PY) -m pytest $(addprefix --ignore ,tests/browser $(BESIDE_THE_BROWSER))

check: $(TEST_STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(TEST_STAMP)
	$(PY) -m benchmarks

load: $(TEST_STAMP)
	$(PY) -m benchmarks.load

models: $(MODELS_STAMP)
	@$(MODELS_VENV)/bin/python -m benchmarks.models $(NAMES) $(if $(PRETRAINED),--pretrained) $(if $(DATA),--data "$(DATA)")

screenshots: $(TEST_STAMP)
	$(PY) -m docs.screenshots

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed, this is ' + sys.version) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# It sees what $(VENV) holds (the .pth file) and adds to it, so that nothing there changes and torch is installed once.
# With -c, a package that wants another version of what is there is refused.
PACKAGES_OF = -c "import sysconfig; print(sysconfig.get_path('purelib'))"
$(MODELS_STAMP): requirements-models.txt | $(TEST_STAMP)
	$(PY) -m venv --without-pip $(MODELS_VENV)
	$(PY) $(PACKAGES_OF) > "$$($(MODELS_VENV)/bin/python $(PACKAGES_OF))/project.pth"
	$(MODELS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -r requirements-models.txt
	touch $@

$(TEST_STAMP): | $(RUN_STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
