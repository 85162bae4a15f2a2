# Two commands: `make demo` runs the main job, `make test` runs all checks. Each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOY := tests/toy_backend

.PHONY: demo test setup system checks lint types together unit clean

setup: $(STAMP)

# torch comes first: all else is chosen to fit it. On x86-64 PyPI has its build with several GB of CUDA; the one without
# is taken where pip sees it, by PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu, say. Our own modules are
# compiled as others are, which an editable install leaves out and some machines' Python never does by itself.
$(STAMP): pyproject.toml setup.py constraints.txt $(TOY)/pyproject.toml $(TOY)/paretune_toy/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps ./$(TOY)
	$(BIN)/python -m compileall -q -j 2 -x '/test_\w+\.py$$' cli.py __init__.py profiles backends search reports \
	    benchmarks tests
	-$(BIN)/python tests/rewritten.py
	touch $@

demo: setup
	$(BIN)/paretune run examples/digits.yaml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The repository root is the package, so mypy is pointed at it through a link of the package's name.
types: setup
	mkdir -p build/types && ln -sfn ../.. build/types/paretune
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml \
	    -p paretune.profiles -p paretune.backends -p paretune.search -p paretune.reports -m paretune -m paretune.cli

# Three workers for two cores, since tests of boards and of hangs wait a lot; what measures or ends by the clock
# has a core of its own after them.
TOGETHER := $(BIN)/python -m pytest -q --numprocesses 3 --dist loadfile --no-loadscope-reorder
ALONE := $(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder

# In two minutes: all but what is slow, measures, or ends by the clock.
unit: setup
	$(TOGETHER) -m "not alone and not slow"

system:
	sh tests/install_system_packages.sh

# Two things at a time, where either would leave a core idle.
test:
	$(MAKE) --jobs 2 system setup
	$(MAKE) --jobs 2 checks together
	$(ALONE) -m alone

checks: lint types

together: setup
	$(TOGETHER) -m "not alone"

clean:
	rm -rf $(VENV) build runs examples/runs examples/.paretune
