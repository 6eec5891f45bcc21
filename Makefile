# make run    sets up everything and listens; make run ARGS="--duration 20 --csv out.csv"
# make test   sets up everything and passes the tests
.PHONY: test-image serve-load serve-soak help setup setup-test run test compile-tests test-portable test-ray planted mutation test-docs lint docs tables lock screenshots clean bench load soak calls kill

bin := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

# one thread a process, as several run at once; bytecode is kept, as many tests start Python anew
test_env := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

help: ## show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: ## set up what running needs, in .venv; make PYTHON=python3.13 setup takes that Python
	@PYTHON=$(PYTHON) tools/setup.sh run

setup-test: ## and what the tests and checks need besides
	@PYTHON=$(PYTHON) tools/setup.sh test

run: setup ## set up everything and run: make run ARGS="--duration 20 --csv out.csv"
	@case " $(ARGS) " in *" --input"*|*" --device"*|*" --demo"*) ;; *) \
	if $(bin)/streamer devices | grep -q '^no input device'; then \
	echo "no microphone here: playing the bundled recording (--demo)" >&2; demo=--demo; fi ;; esac; \
	$(bin)/streamer run $$demo $(ARGS)

test: setup-test ## set up everything, check the code and run the tests: make test ARGS="-k ring"
	@$(MAKE) --no-print-directory --jobs 2 lint compile-tests
	$(test_env) $(bin)/pytest --numprocesses 4 --dist loadfile $(ARGS)

# pytest rewrites the assertions of all tests and keeps the result: done here once, beside the
# checks, and not by each of its processes; what is wrong with a test is reported by the run itself
compile-tests:
	@$(test_env) $(bin)/pytest --collect-only --quiet >/dev/null || true

test-portable: setup-test ## what needs no sound server and no POSIX terminal: the tests for macOS and Windows
	$(test_env) $(bin)/pytest tests/analysis tests/model tests/segmentation tests/docs $(ARGS)

test-image: setup-test ## build the container's image and see it and deploy/compose.yaml work; needs Docker
	docker build --build-arg EXTRA_INDEX=$(EXTRA_INDEX) --tag streamer .
	IMAGE=streamer $(test_env) $(bin)/pytest tests/server/test_containers.py $(ARGS)

test-ray: setup-test ## streamer bulk on a Ray cluster of two nodes; in Spark and Daft, too; installs these, 600 MB
	$(bin)/python -m pip install --quiet --editable ".[ray]" daft pyspark
	OMP_NUM_THREADS=1 $(bin)/pytest tests/bulk/test_ray.py tests/bulk/test_engines.py $(ARGS)

planted: setup-test ## plant faults one by one and see that a test notices each: ten minutes
	$(bin)/python tools/planted_faults.py

mutation: setup-test ## change the segmenter in every small way and see what no test notices (mutmut): an hour
	$(bin)/python -m pip install --quiet "mutmut>=3.3"
	OMP_NUM_THREADS=1 $(bin)/mutmut run "streamer.segmentation.segmenter*" $(ARGS)

test-docs: ## the examples, commands and links of the documents
	$(test_env) $(bin)/pytest --quiet tests/docs $(ARGS)

docs: ## the API reference from the docstrings, into build/docs/
	$(bin)/python tools/api_reference.py build/docs

tables: ## the tables of accuracy in README and docs, from docs/figures
	$(bin)/python tools/accuracy_tables.py

lint: ## style, types and the rules of who may import whom
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

bench: ## measure speed and latency into benchmarks/RESULTS.md; five minutes of a quiet machine
	$(bin)/python benchmarks/results.py

load: ## measure how many lines one process keeps up with into benchmarks/LOAD.md; seven minutes of a quiet machine
	$(bin)/python benchmarks/load.py --page benchmarks

serve-load: ## how many calls one server takes, 15 and 30 of a minute each, into benchmarks/SERVE.md; three minutes of a quiet machine
	$(bin)/python benchmarks/serve.py --page benchmarks

serve-soak: ## 10,000 calls begun and ended: memory, files and threads of the server stay flat; ten minutes
	$(bin)/python benchmarks/serve_soak.py

soak: ## a day of speech and silence, faster than real time, into benchmarks/SOAK.md; twenty minutes
	$(bin)/python benchmarks/soak.py --page benchmarks

calls: ## a day of calls, faster than real time, into benchmarks/CALLS.md; ten minutes
	$(bin)/python benchmarks/calls.py --model default --page benchmarks

kill: ## kill -9 and pulled plugs at random instants, into benchmarks/KILL.md; six minutes, as root
	$(bin)/python benchmarks/kill.py --times 200 --cuts 100 --page benchmarks

lock: ## write the versions that are installed now, with hashes, to the lock files; needs uv
	$(bin)/python tools/lock.py

screenshots: ## renew the README's pictures from the real program, in two minutes at real-time pace
	$(bin)/python tools/screenshot.py
	@if command -v chromium google-chrome >/dev/null; then $(bin)/python tools/report_screenshot.py; \
	else echo "no chromium here: docs/report.png stays as it is"; fi

clean: ## remove the virtual environment and all caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
