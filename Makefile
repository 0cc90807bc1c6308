# The portal's verbs. Everything they need is made here, in .venv and .assets; nothing is installed on the machine.

PYTHON ?= python3
VENV := .venv/bin/python
ARGS ?=

# A virtual environment whose Python is gone counts as never made.
ifneq ($(wildcard .venv),)
$(shell $(VENV) -c '' 2>/dev/null || rm -f .venv/*.installed)
endif

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run test check bench format lock python

help:
	@echo "make run      the whole portal on this machine, a simulator standing in for Apple (LIVE=1: Apple itself; PORT=8001)"
	@echo "make test     every test, on SQLite and on PostgreSQL (ARGS='tests/test_run.py -k port': these only, on SQLite)"
	@echo "make check    lint, types, templates, migrations, deployment settings, imports between layers, who may open which page"
	@echo "make bench    benchmarks"
	@echo "make format   put the code into its shape"
	@echo "make lock     resolve the dependencies of pyproject.toml anew"

run: .venv/requirements.installed .assets/fetched
	@$(VENV) -m vppportal --follow-parent $(if $(LIVE),--live)

# Many tests wait for processes: three at once keep two cores busy. Tests of one file stay together, in the order that
# tests/conftest.py gives them. What is judged by the clock runs by itself.
AT_ONCE = --numprocesses=3 --dist=loadfile --no-loadscope-reorder --hypothesis-profile=repeatable
ON_POSTGRES = $(VENV) -m tests.postgres $(VENV) -m pytest
# With ARGS a developer's run on SQLite; without, everything, and once more on PostgreSQL what may depend on the database.
test: .venv/requirements-dev.installed .assets/fetched
ifneq ($(ARGS),)
	@$(VENV) -m pytest $(ARGS)
else
	@echo "Tests on SQLite" && $(VENV) -m pytest $(AT_ONCE) -m "not bench and not alone"
	@$(VENV) -m pytest -m alone
	@echo "Tests on PostgreSQL" && $(ON_POSTGRES) $(AT_ONCE) -m "not bench and not alone and not browser and not once"
	@$(ON_POSTGRES) -m "alone and not once"
endif

check: export DJANGO_SETTINGS_MODULE = tests.settings
check: .venv/requirements-dev.installed .assets/fetched
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m mypy
	@$(VENV) -m djlint templates --lint --quiet
	@$(VENV) -m bandit --quiet --recursive --severity-level medium --configfile pyproject.toml manage.py vppportal catalog tokens
	@$(VENV) manage.py check --fail-level WARNING
	@$(VENV) manage.py makemigrations --check --dry-run
	@$(VENV) -m tests.production $(VENV) manage.py check --deploy --fail-level WARNING
	@$(VENV) -m pytest --quiet tests/test_layers.py tests/test_pages.py

bench: .venv/requirements-dev.installed
	@$(VENV) -m tests.postgres $(VENV) -m pytest tests/benchmarks -m bench -s $(ARGS)

format: .venv/requirements-dev.installed
	@$(VENV) -m ruff check --fix .
	@$(VENV) -m ruff format .
	@$(VENV) -m djlint templates --reformat --quiet

RESOLVE = $(VENV) -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: .venv/requirements-dev.installed
	@$(RESOLVE) --upgrade --extra embedded pyproject.toml -o requirements.lock
	@$(RESOLVE) --upgrade --extra embedded --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(RESOLVE) --upgrade --group node -o requirements-node.lock

python:
	@command -v $(PYTHON) >/dev/null || { echo "VPP Portal needs Python 3.11 or newer, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("VPP Portal needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name a newer one with PYTHON=..." % (v[0], v[1]))'

.venv/requirements.installed: requirements.lock | python
	@$(PYTHON) -m vppportal.install requirements.lock
	@touch $@

# The development packages include all others.
.venv/requirements-dev.installed: requirements-dev.lock requirements.lock | python
	@$(PYTHON) -m vppportal.install requirements-dev.lock
	@touch $@ .venv/requirements.installed

# A machine without npm gets one from PyPI, into .venv.
.assets/fetched: static/package.json static/package-lock.json vppportal/assets.py requirements-node.lock | python
	@command -v npm >/dev/null || $(PYTHON) -m vppportal.install requirements-node.lock
	@$(PYTHON) -m vppportal.assets
	@touch $@
