# make demo   build the example for an emulated board and run it
# make test   lint and test everything
# Both set up what they need: .venv, .pio-core and, as root on Debian, the cross compiler and QEMU.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
CORE := .pio-core

export PLATFORMIO_CORE_DIR := $(CURDIR)/$(CORE)
export PLATFORMIO_SETTING_ENABLE_TELEMETRY := no
export PLATFORMIO_DISABLE_UPGRADE_CHECK := true

.PHONY: demo test lint bench clean setup tools core golden docs

demo: setup
	$(BIN)/pio run -d examples/hello_world -e emu_nano33ble -t upload

test: setup lint
	$(BIN)/python -m pytest

golden: setup
	$(BIN)/python -m pytest --update-golden

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m pip install --quiet mcufit || echo 'mcufit cannot be installed: what is measured beside it is left out'
	$(BIN)/python -m pip install --quiet esp-idf-size || echo 'esp-idf-size cannot be installed: what is measured beside it is left out'
	$(BIN)/python -m bench

docs: $(STAMP)
	$(BIN)/python tools/make_docs.py
	$(BIN)/python tools/make_report_schema.py

setup: tools core

core: $(STAMP)
	@$(BIN)/python tools/make_core.py --core-dir $(CORE)

tools:
	@sh tools/install_tools.sh

$(STAMP): setup.py pyproject.toml | tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --pre tflite-micro || echo 'tflite-micro has no wheel for this machine: tests against it are skipped'
	touch $@

clean:
	rm -rf $(VENV) $(CORE) build dist *.egg-info examples/*/.pio .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
