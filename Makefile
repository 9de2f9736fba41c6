# make demo   set up what the demo needs and open it
# make test   set up everything and run all tests
# make check  lint, types, direction of dependencies
# make lock   resolve the locks anew

PYTHON ?= python3
ARGS ?=
# test processes; each takes a core and about a gigabyte
WORKERS ?= 2
BIN := .venv/bin
UV := $(BIN)/uv pip

# where this is set, every start would compile all packages again
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check lock table clean

demo: .venv/runtime.stamp
	$(BIN)/python apps/gradio_app.py --no-share --browser $(ARGS)

test: .venv/dev.stamp
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: .venv/uv.stamp
	$(UV) compile pyproject.toml --universal --generate-hashes --quiet -o requirements.lock
	$(UV) compile pyproject.toml --extra dev --universal --generate-hashes --quiet -c requirements.lock -o requirements-dev.lock

table: .venv/runtime.stamp
	$(BIN)/fer zoo table

clean:
	rm -rf .venv

.venv/uv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

.venv/runtime.stamp: .venv/uv.stamp requirements.lock pyproject.toml
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/runtime.stamp requirements-dev.lock
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@
