# `make demo` and `make test` need Python 3.11+ and make, nothing else.
# CPU-only Linux: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
PYTHON ?= python3
VENV ?= .venv
DEMO_STEPS ?=
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INDEX := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))

.PHONY: demo test test-older lint types docs gallery bench clean

$(VENV)/core.stamp: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) $(INDEX) torch==2.13.0
	$(PIP) --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) --editable ".[dev,docs]"
	touch $@

demo: $(VENV)/core.stamp
	$(BIN)/paperzoo demo $(if $(DEMO_STEPS),--steps $(DEMO_STEPS))

# Tests of contract and learning that no change has reached since they passed, here, in .ci/run or .ci/nightly, are left out but for
# a quarter the first time: make test ALL=1 runs them too, WATCHED=1/2 with it the first half of them.
# make test PAPER=dcgan runs what is of one paper
test: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(if $(ALL),--all) $(if $(WATCHED),--watched $(WATCHED)) $(if $(PAPER),-k $(PAPER))

# What could hang on the processor, as on a laptop of 2015: no AVX-512, no bf16; SHARE=2/6 runs the second of six parts
test-older: $(VENV)/dev.stamp
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m processor $(if $(SHARE),--share $(SHARE))

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

docs: $(VENV)/dev.stamp
	$(BIN)/mkdocs build --strict --quiet

# The gallery, built with what lies in the cache of the user's own, and looked at in a headless Chromium where there is one
gallery: $(VENV)/dev.stamp
	$(BIN)/paperzoo gallery build/gallery
	PAPERZOO_GALLERY=build/gallery $(BIN)/python -m pytest --all tests/report/test_gallery_browser.py

bench: $(VENV)/dev.stamp
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
