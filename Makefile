# make demo   draw faces, train two teachers and two students on them, print a table: work in demo/
# make test   all tests
# make soak   what takes long: kills, full disks and races, many times (SOAK=4 make soak: four times as many)
# make lint   style and types
# make man    fill the parts of man/ that come from the code, after an option or its help was changed
# make docs   a searchable site of docs/ and the manual pages: build/site/index.html; broken links and anchors are errors
# Each makes .venv and installs by itself; docs has a small environment of its own, build/docs-env.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test soak lint man docs clean
.DEFAULT_GOAL := demo

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "kdtools needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@for page in man/*.[1-9]; do folder=.venv/share/man/man$${page##*.}; \
	    mkdir -p $$folder && ln -sf "$(CURDIR)/$$page" $$folder/; done # which pip leaves out of an editable install
	@touch $@

demo: .venv/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/pipeline.sh demo

test: .venv/.installed
	$(BIN)/python -m pytest

soak: .venv/.installed
	rm -f .pytest_cache/soak.md
	$(BIN)/python -m pytest -m soak
	@echo "| fault | tool | tried | came of it |"; echo "|---|---|---|---|"; sort .pytest_cache/soak.md

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

man: .venv/.installed
	$(BIN)/python man/update_pages.py

build/docs-env/.installed: requirements/docs.txt
	$(PYTHON) -m venv build/docs-env
	build/docs-env/bin/pip install --quiet -r requirements/docs.txt
	@touch $@

docs: build/docs-env/.installed
	build/docs-env/bin/python docs/site/make_site.py build/site-source
	build/docs-env/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site build/site-source build/site
	@echo "build/site/index.html"

clean:
	rm -rf .venv demo build *.egg-info
