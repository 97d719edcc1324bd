# What to type first:  make demo    a recovery on a simulated cloud, live
#                      make test    all tests that this machine can run
#
# Each target makes what it needs in $(VENV); a second run installs nothing again.  Needed: Python
# 3.11 or later and make.  Variables: DEMO="--hosts 8 --vms 60", TEST="-k evacuate" and
# SOAK="--minutes 60 --seed 7" are passed on.
# make bench SUBJECT=api measures the REST API.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
SUBJECT ?= recovery
BIN := $(VENV)/bin
# one more than CPUs: a third of the time tests wait for servers, and some are long
WORKERS := $(shell expr $$(nproc 2>/dev/null || echo 1) + 1)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
# pip copies what is in bin
METADATA := setup.cfg setup.py pyproject.toml requirements.txt bin/masakari-pacemaker-alert
DOCS := doc/source

.PHONY: help demo test servers lint docs bench soak clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//; 1,/^$$/p' Makefile
	@echo "More targets: lint docs bench soak clean"

demo: $(VENV)/.runtime
	@$(BIN)/python -m masakari.sim demo $(DEMO)

test: $(VENV)/.tests servers
	@$(MAKE) -s $(VENV)/.libvirt
	@$(BIN)/python -m pytest -q -rsR -n $(WORKERS) --dist worksteal --max-suite-reruns 5 $(TEST)

# The servers of which functional tests start private ones: as root on Debian, they are installed.
servers:
	@if tools/install-servers --check; then :; \
	elif [ "$$(id -u)" != 0 ]; then \
		echo "only root can install them: tests that need them are skipped"; \
	elif ! command -v apt-get >/dev/null; then \
		echo "this is no Debian: tests that need them are skipped"; \
	elif ! tools/install-servers; then \
		echo "tests that need them are skipped"; \
	fi

# compiled, so only where libvirt's headers are; without it tests of instance monitors are skipped
$(VENV)/.libvirt: $(VENV)/.tests
	@if pkg-config --exists libvirt 2>/dev/null; then $(PIP) 'libvirt-python>=9.0.0' && touch $@; fi

lint: $(VENV)/.tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/doc8 README.rst $(DOCS) releasenotes/notes
	$(BIN)/reno -q lint

docs: $(VENV)/.tests
	$(BIN)/python -m sphinx -W --keep-going -q -b html $(DOCS) doc/build/html
	@echo "doc/build/html/index.html"

bench: $(VENV)/.tests
	$(BIN)/python bench/$(SUBJECT).py $(BENCH)

# What the tests do for a minute, for longer and with another seed: requests made from the API's
# own description; each mishap at each request to Nova, of which the tests take every third;
# services that are away for half a minute, or five; and hosts that die slowly.
soak: $(VENV)/.tests
	MASAKARI_THOROUGH=1 $(BIN)/python -m pytest -q -n auto \
		masakari/tests/scenarios/test_every_call.py masakari/tests/functional/outages \
		masakari/tests/functional/engine/test_restarts.py \
		masakari/tests/functional/deployments/test_wsgi_servers.py \
		masakari/tests/functional/monitors/test_consul.py \
		masakari/tests/functional/monitors/test_hostmonitor.py \
		masakari/tests/functional/monitors/test_pacemaker.py
	$(BIN)/python -W ignore -m masakari.tests.http.fuzz $(SOAK)

clean:
	rm -rf $(VENV) doc/build $(DOCS)/_generated build dist *.egg-info \
		.pytest_cache .mypy_cache .ruff_cache .tox

# ---- the virtual environment; a stamp for what runs, one for what tests

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: $(METADATA) | $(BIN)/python
	@echo "installing what Masakari needs into $(VENV); about a minute"
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.tests: $(VENV)/.runtime test-requirements.txt
	@echo "installing what the tests need into $(VENV); about a minute"
	@$(PIP) -r test-requirements.txt
	@touch $@
