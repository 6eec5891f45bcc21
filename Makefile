# make run    sets up everything and listens; make run ARGS="--duration 20 --csv out.csv"
# make test   sets up everything and passes the tests
.PHONY: help run test check lint lock screenshots clean bench load day

help: ## show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: ## set up everything and run: make run ARGS="--duration 20 --csv out.csv"
	@tools/setup.sh run
	@.venv/bin/streamer run $(ARGS)

test: ## set up everything, check the code and run the tests: make test ARGS="-k ring"
	@tools/setup.sh test
	@$(MAKE) --no-print-directory lint
	OMP_NUM_THREADS=1 .venv/bin/pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: ## style, types and the rules of who may import whom
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ## measure speed and latency into benchmarks/RESULTS.md; five minutes of a quiet machine
	.venv/bin/python benchmarks/results.py

load: ## measure how many lines one process keeps up with into benchmarks/LOAD.md; seven minutes of a quiet machine
	.venv/bin/python benchmarks/load.py --page benchmarks

day: ## a day of speech and silence, faster than real time, into benchmarks/DAY.md; twenty minutes
	.venv/bin/python benchmarks/day.py --page benchmarks

lock: ## write the versions that are installed now, with hashes, to the lock files; needs uv
	.venv/bin/python tools/lock.py

screenshots: ## renew the README's pictures from the real program, in two minutes at real-time pace
	.venv/bin/python tools/screenshot.py
	@if command -v chromium google-chrome >/dev/null; then .venv/bin/python tools/report_screenshot.py; \
	else echo "no chromium here: docs/report.png stays as it is"; fi

clean: ## remove the virtual environment and all caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
