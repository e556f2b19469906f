# Every target sets up what it needs; `make venv` alone makes the environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
RUN := PYTHONWARNINGS=default $(BIN)

.PHONY: venv demo test test-slow coverage check docs dist clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed | $(PYTHON) | name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[offline,torchmetrics,onnx,cluster,docs,dev]'
	touch $(STAMP)

demo: venv
	$(BIN)/nctransfer auto digits --model tf_efficientnet_lite0 --image-size 64 --out runs/demo --overwrite
	@echo "Open runs/demo/report.html in a browser."

test: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu'

test-slow: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'slow or gpu'

coverage: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu' --cov --cov-report term

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in build/docs, with warnings as errors and every internal link followed.
docs: venv
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	$(BIN)/python tools/check_site.py build/docs
	@echo "Open build/docs/index.html in a browser."

# Wheel and source distribution, and the main job from the wheel in an empty environment, without extras and with them.
dist: venv
	rm -rf build dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python tools/check_wheel.py dist

clean:
	rm -rf $(VENV) build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
