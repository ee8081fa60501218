# make demo   run the main job against the embedded lab and end by itself
# make test   the tests          make check   lint, format, types, import layers
# make accuracy   is diagnosis right: every fault three times, 500 healthy sign-ins; writes docs/accuracy.md
# make screenshot  the picture of the README, of the page that the demo leaves (needs chromium)
# make fuzz   ARGS="--seconds 600 --target lane": look for bytes that break the framing (needs PyPI: atheris)
# make bench  beside nginx, HAProxy, stock mitmdump; writes bench/results (a quarter of an hour)
# make test-native   the tests on what `make native` makes
# make native  compile the modules that every request passes through (needs a C compiler; a minute and a half)
# make lock   renew the lock files
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 4

NATIVE := build/native
.PHONY: help demo test test-native check native bench fuzz accuracy screenshot lock clean
help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(READY)
	@$(BIN)/lyncgate demo --rules rules.yaml $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(READY)
	@$(BIN)/ruff check addons tests bench deploy
	@$(BIN)/ruff format --check addons tests bench deploy
	@! grep -rnE '^(<<<<<<<|>>>>>>>) ' addons bench deploy docs tests *.md
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -n 0 tests/test_layers.py

native: $(NATIVE)/.ready
# All but the fuzzer's targets: they derive from a class that is compiled.
test-native: $(NATIVE)/.ready
	@PYTHONPATH=$(abspath $(NATIVE)) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
		-o pythonpath="$(NATIVE) bench tests" --ignore tests/fuzz $(ARGS)

$(NATIVE)/.ready: $(READY) deploy/native.py $(shell find addons/lyncgate -name '*.py')
	@rm -rf $(NATIVE) && mkdir -p $(NATIVE)
	@echo "Compiling the modules that every request passes through (a minute and a half)"
	@$(BIN)/python deploy/native.py $(NATIVE) && touch $@

bench: $(NATIVE)/.ready
	@PYTHONPATH=bench $(BIN)/python -m sidebyside $(ARGS)

# Beside the environment, and in no lock file: it has wheels for some platforms only.
.fuzz/.ready: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --only-binary :all: --target .fuzz 'atheris>=3,<4' && touch $@

fuzz: .fuzz/.ready
	@PYTHONPATH=.fuzz $(BIN)/python tests/fuzz/run.py $(ARGS)

accuracy: $(READY)
	@$(BIN)/python bench/accuracy --page docs/accuracy.md --json bench/results/accuracy.json $(ARGS)

# The environment is made anew only when the lock or the project file changed.
$(READY): requirements-dev.lock pyproject.toml
	@python=$$(.ci/find-python) || exit 1; \
	echo "Using $$($$python -V) for $(VENV) (first time: about half a minute)"; \
	$$python -m venv --clear $(VENV) && \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock && \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e . && \
	touch $@

screenshot: $(READY)
	@$(BIN)/python bench/screenshot.py $(ARGS)

lock:
	@uv pip compile -q --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		pyproject.toml --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .fuzz build .pytest_cache .mypy_cache .ruff_cache .hypothesis
