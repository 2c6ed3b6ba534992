# odescent: every job is one target. `make` alone lists them.
#
# The environment .venv is made here, with uv where it is installed and else with `python3 -m venv`
# and pip. The stamps in it depend on pyproject.toml and constraints.txt and are written last: a
# second run costs nothing, and an installation that failed is done again.

PYTHON ?=
ARGS ?=
JOBS ?= auto

BIN := .venv/bin

# A file of tests stays in one process: its tests share what they compile. Bytecode is written whatever the
# environment says: each worker and each child process would compile the package again.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(JOBS) --maxprocesses=8 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-all lint types extras docs bench wheel clean distclean FORCE

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo '  ARGS="..." goes to the command behind demo, test, test-all and bench; PYTHON=... picks the interpreter.'

demo: .venv/.ready-run  ## the main job on real data
	@$(BIN)/odescent demo $(ARGS)

test: .venv/.ready-test  ## the tests that take little; four minutes on two cores
	@$(PYTEST) -m 'not full' $(ARGS)

test-all: .venv/.ready-test  ## all of the tests, as CI has them
	@$(PYTEST) $(ARGS)

lint: .venv/.ready-dev  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.ready-dev  ## mypy, strict, over the package
	@$(BIN)/mypy

extras: .venv/.ready-extras  ## install what is optional too: torch, the explorer, what tests compare with

docs: .venv/.ready-docs  ## the documentation site, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build $(ARGS)

bench: .venv/.ready-run  ## measure against peers and hardware limits
	@$(BIN)/python benchmarks/record.py $(ARGS)

wheel: .venv/.ready-dev  ## sdist and wheel into dist/
	@$(BIN)/python -m build

clean:  ## remove what was built and cached (keeps .venv)
	@rm -rf build dist out site odescent.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## also remove .venv
	@rm -rf .venv

# --- the environment ------------------------------------------------------------------------------

# A moved checkout or a vanished interpreter makes every stamp stale.
ifneq "$(shell test -x $(BIN)/python && cat .venv/.place 2>/dev/null)" "$(CURDIR)"
.venv/.ready-run .venv/.ready-test .venv/.ready-dev .venv/.ready-extras .venv/.ready-docs: FORCE
endif

.venv/.ready-run: pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup . run

.venv/.ready-test: pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[test]' run test

.venv/.ready-dev: pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[dev]' run test dev

.venv/.ready-extras: pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' sh -c "$$SETUP" setup '.[dev,oracles,sweeps,torch,explore,browser]' run test dev extras

.venv/.ready-docs: pyproject.toml constraints.txt
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

usable() { new_enough .venv/bin/python && { have_uv || .venv/bin/python -m pip --version >/dev/null 2>&1; }; }
have_uv() { command -v uv >/dev/null 2>&1; }
fresh() { rm -rf .venv; mkdir .venv; touch .venv/.made-by-make; }

with_uv() {
    [ -x .venv/bin/python ] || uv venv --quiet --allow-existing --python "$$python" .venv || return 1
    uv pip install --quiet --python .venv/bin/python --constraint constraints.txt --editable "$$target"
}
with_pip() {
    usable_pip || { case $$python in .venv/*) python=$$(find_python);; esac; fresh; "$$python" -m venv .venv; } || {
        rm -rf .venv
        say "$$python could not make a virtual environment; its venv module may be a package of its own (python3-venv on Debian)."
        return 1
    }
    .venv/bin/python -m pip install -qq --disable-pip-version-check \
        --constraint constraints.txt --editable "$$target"
}
usable_pip() { .venv/bin/python -m pip --version >/dev/null 2>&1; }

if [ -e .venv ] && { ! usable || [ "$$(cat .venv/.place 2>/dev/null || pwd -P)" != "$$(pwd -P)" ]; }; then
    if [ -e .venv/.made-by-make ]; then
        rm -rf .venv
    else
        say "The folder .venv is not an environment that can be used here; move it away and run make again."
        exit 1
    fi
fi

if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=$$(find_python); fresh; fi
rm -f .venv/.ready-*
say "Installing $$target into .venv with $$(.venv/bin/python --version 2>/dev/null || "$$python" --version); the first time takes a minute or two ..."
if have_uv && with_uv; then :; else
    if have_uv; then say "uv could not do it; trying pip."; fi
    with_pip || { say "The installation failed (see above); nothing half-made is kept in use: run make again to repair it."; exit 1; }
fi
pwd -P > .venv/.place
for stamp in "$$@"; do touch ".venv/.ready-$$stamp"; done
endef
export SETUP
