# odescent: every job is one target. `make` alone lists them.
#
# The environment VENV is made here, with uv where it is installed and else with `python3 -m venv`
# and pip. The stamps in it depend on pyproject.toml and on PINS and are written last: a second run
# costs nothing, and an installation that failed is done again.

PYTHON ?=
ARGS ?=
JOBS ?= auto
VENV := .venv
PINS := constraints.txt

BIN := $(VENV)/bin
export VENV PINS

# A file of tests stays in one process: its tests share what they compile. Bytecode is written whatever the
# environment says: each worker and each child process would compile the package again. There is a worker for
# each core, so that further threads of NumPy would only wait for one another.
PYTEST := PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --maxprocesses=8 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-all test-lowest lint types extras docs bench wheel release-check clean distclean FORCE

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo '  ARGS="..." goes to the command behind demo, test, test-all and bench; PYTHON=... picks the interpreter.'

demo: $(VENV)/.ready-run  ## the main job on real data
	@$(BIN)/odescent demo $(ARGS)

test: $(VENV)/.ready-test  ## the tests that take little; four minutes on two cores
	@$(PYTEST) -m 'not full' $(ARGS)

test-all: $(VENV)/.ready-test  ## all of the tests, as CI has them
	@$(PYTEST) $(ARGS)

test-lowest:  ## make test in .venv-lowest, with the lowest versions that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=.venv-lowest PINS=constraints-lowest.txt \
		PYTHON='$(or $(PYTHON),python3.11)' test

lint: $(VENV)/.ready-dev  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev  ## mypy, strict, over the package
	@$(BIN)/mypy

extras: $(VENV)/.ready-extras  ## install what is optional too: torch, the explorer, what tests compare with

docs: $(VENV)/.ready-docs  ## the documentation site, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build $(ARGS)

bench: $(VENV)/.ready-run  ## measure against peers and hardware limits
	@$(BIN)/python benchmarks/record.py $(ARGS)

wheel: $(VENV)/.ready-dev  ## sdist and wheel into dist/
	@$(BIN)/python -m build

release-check: .venv-release/.ready  ## the release checklist: addresses, metadata, citation, sdist, README
	@.venv-release/bin/python .ci/release.py $(ARGS)

clean:  ## remove what was built and cached (keeps .venv)
	@rm -rf build dist out site odescent.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## also remove the environments
	@rm -rf .venv .venv-lowest .venv-release

# --- the environment ------------------------------------------------------------------------------

# A moved checkout or a vanished interpreter makes every stamp stale.
ifneq "$(shell test -x $(BIN)/python && cat $(VENV)/.place 2>/dev/null)" "$(CURDIR)"
$(VENV)/.ready-run $(VENV)/.ready-test $(VENV)/.ready-dev $(VENV)/.ready-extras $(VENV)/.ready-docs: FORCE
endif

$(VENV)/.ready-run: pyproject.toml $(PINS)
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[all]' run

$(VENV)/.ready-test: pyproject.toml $(PINS)
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[test]' run test

$(VENV)/.ready-dev: pyproject.toml $(PINS)
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[dev]' run test dev

$(VENV)/.ready-extras: pyproject.toml $(PINS)
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[dev,oracles,sweeps,torch,explore,browser]' run test dev extras

# Its tools need older versions of what ours need.
.venv-release/.ready: .ci/release-tools.txt | $(VENV)/.ready-dev
	@$(BIN)/python -m venv --clear .venv-release
	@.venv-release/bin/python -m pip install -qq --disable-pip-version-check --requirement $<
	@touch $@

$(VENV)/.ready-docs: pyproject.toml $(PINS)
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[dev,docs]' run test dev docs

# setup TARGET STAMP...: an environment with TARGET installed, editable and pinned; then the stamps.
define SETUP
set -eu
target=$$1; shift

say() { printf '%s\n' "$$*" >&2; }
new_enough() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    found=
    for name in $${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if new_enough "$$name"; then echo "$$name"; return; fi
        version=$$("$$name" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
        found="$${found:+$$found, }$$name is $$version"
    done
    say "odescent needs Python 3.11 or newer, but $${found:-$${PYTHON:-python3} cannot be run here};" \
        "install one, or name one with make PYTHON=/path/to/python3."
    return 1
}

usable() { new_enough $$VENV/bin/python && { have_uv || $$VENV/bin/python -m pip --version >/dev/null 2>&1; }; }
have_uv() { command -v uv >/dev/null 2>&1; }
fresh() { rm -rf $$VENV; mkdir $$VENV; touch $$VENV/.made-by-make; }

with_uv() {
    [ -x $$VENV/bin/python ] || uv venv --quiet --allow-existing --python "$$python" $$VENV || return 1
    uv pip install --quiet --python $$VENV/bin/python --constraint "$$PINS" --editable "$$target"
}
with_pip() {
    usable_pip || { case $$python in $$VENV/*) python=$$(find_python);; esac; fresh; "$$python" -m venv $$VENV; } || {
        rm -rf $$VENV
        say "$$python could not make a virtual environment; its venv module may be a package of its own (python3-venv on Debian)."
        return 1
    }
    $$VENV/bin/python -m pip install -qq --disable-pip-version-check \
        --constraint "$$PINS" --editable "$$target"
}
usable_pip() { $$VENV/bin/python -m pip --version >/dev/null 2>&1; }

if [ -e $$VENV ] && { ! usable || [ "$$(cat $$VENV/.place 2>/dev/null || pwd -P)" != "$$(pwd -P)" ]; }; then
    if [ -e $$VENV/.made-by-make ]; then
        rm -rf $$VENV
    else
        say "The folder $$VENV is not an environment that can be used here; move it away and run make again."
        exit 1
    fi
fi

if [ -x $$VENV/bin/python ]; then python=$$VENV/bin/python; else python=$$(find_python); fresh; fi
rm -f $$VENV/.ready-*
say "Installing $$target into $$VENV with $$($$VENV/bin/python --version 2>/dev/null || "$$python" --version); the first time takes a minute or two ..."
if have_uv && with_uv; then :; else
    if have_uv; then say "uv could not do it; trying pip."; fi
    with_pip || { say "The installation failed (see above); nothing half-made is kept in use: run make again to repair it."; exit 1; }
fi
pwd -P > $$VENV/.place
for stamp in "$$@"; do touch "$$VENV/.ready-$$stamp"; done
endef
export SETUP
