# The portal's verbs. Everything they need is made here, in .venv and .assets; nothing is installed on the machine.

PYTHON ?= python3
VENV := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test check bench lock format install install-dev clean

help:
	@echo "make run          the whole portal on this machine, with a stand-in for Apple (LIVE=1: with Apple itself)"
	@echo "make test         every test, on SQLite and on PostgreSQL (ARGS='tests/test_run.py -k port': only these, on SQLite)"
	@echo "make check        lint, types, templates, migrations, deployment checks"
	@echo "make bench        benchmarks"
	@echo "make format       put the code into its shape"
	@echo "make lock         resolve the dependencies of pyproject.toml anew"

