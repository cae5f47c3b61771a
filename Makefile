# Everything a newcomer needs: make demo, make test. Both install into .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install demo demo-fast test lint docs bench clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "hzsynth needs Python 3.11 to 3.13; name one with: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	# Compared with in a test; it asks for a second OpenCV, which would overwrite the first.
	$(BIN)/python -m pip install --quiet --no-deps corrupt-tta==0.1.7
	# Its networks are trained and measured here; it asks for aim, 150 MB that they do not use.
	$(BIN)/python -m pip install --quiet --no-deps stylegan2-pytorch==1.9.0
	@touch $@

demo: $(INSTALLED)
	$(BIN)/hzsynth demo --out demo-out
	@echo "open demo-out/report.html"

demo-fast: $(INSTALLED)
	$(BIN)/hzsynth demo --fast --out demo-out-fast

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "open build/site/index.html; with its search: $(BIN)/mkdocs serve"

bench: $(INSTALLED)
	@for script in $(filter-out benchmarks/common.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script --fast || exit 1; done

clean:
	rm -rf .venv build demo-out demo-out-fast
