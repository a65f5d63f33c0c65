# Every command sets up what it needs by itself, in .venv, by way of tools/venv.
# PYTHON=/path/to/python3 chooses the interpreter, ARGS="..." goes to pytest.

HOST =
PORT =
ARGS =

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo:  ## a chat on http://127.0.0.1:8000 (PORT=, HOST=)
	@tools/venv -- python -m bowstring demo $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

.PHONY: test
test:  ## the tests, over both twins of the codec
	@tools/venv test -- python -m pytest $(ARGS)

.PHONY: test-browser
test-browser:  ## the demo and an echo in a real Chromium
	@tools/venv test -- python -m pytest tests/browser $(ARGS)

.PHONY: test-node
test-node: tests/node/node_modules  ## against Node's ws, as its server and as its client
	@tools/venv test -- python -m pytest tests/node $(ARGS)

tests/node/node_modules: tests/node/package-lock.json
	@npm ci --prefix tests/node --loglevel=error --no-audit --no-fund >/dev/null && touch $@

.PHONY: test-packaging
test-packaging:  ## sdist and wheels, installed into fresh environments
	@tools/venv test package -- python -m pytest tests/packaging $(ARGS)

.PHONY: conformance
conformance:  ## all cases of the Autobahn|Testsuite (needs a Python 2.7)
	@tools/venv -- python tests/conformance/run.py $(ARGS)

.PHONY: fuzz
fuzz:  ## looks for bytes that break what must not break (needs atheris; ARGS="--seconds 3600")
	@tools/venv test fuzz -- python tests/fuzz/run.py $(ARGS)

.PHONY: lint
lint:  ## ruff, mypy, import-linter
	@tools/venv test lint -- sh -c "ruff check && ruff format --check && mypy && lint-imports --no-logo"

.PHONY: bench
bench:  ## the codec's benchmarks, beside other libraries
	@tools/venv bench -- python -m pytest bench/micro $(ARGS)

.PHONY: clean
clean:  ## removes everything that these commands have made
	@rm -rf .venv .cache build dist tests/node/node_modules .coverage .coverage.* .hypothesis .benchmarks .*_cache src/*.egg-info \
		src/bowstring/codec/_cython.c src/bowstring/codec/_cython.*.so
	@find src tests bench -name __pycache__ -prune -exec rm -rf {} +
