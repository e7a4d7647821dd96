# The thin front of CMake; HACKING.md lists what each target is for. NO_INSTALL=1 tells what is missing and installs nothing.
.DEFAULT_GOAL := build
.PHONY: build run test check format asan tsan fuzz bench bench-stack vectors docs clean install stack-up stack-down stack-status stack-test docker-test

BUILD = build
configure = test -f $(1)/build.ninja || cmake --preset $(2) >$(1).log 2>&1 || { cat $(1).log; rm -f $(1).log; exit 1; }; rm -f $(1).log

build: ## the release binary, build/tidemill
	@tools/setup.sh build
	@$(call configure,build,release)
	@ninja -C build --quiet tidemill

run: build ## the earthquakes example on the recorded week
	@tools/setup.sh run
	@examples/run

test: ## everything, plain and under the sanitizers
	@tools/setup.sh build run test
	@cmake --preset release >/dev/null
	@ninja -C build --quiet
	@$(call configure,build-asan,asan)
	@ninja -C build-asan --quiet
	@tests/run

check: ## format, layers, banned calls
	@tools/setup.sh check
	@tools/check.py

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

asan:
	@$(call configure,build-asan,asan)
	@ninja -C build-asan --quiet

tsan:
	@$(call configure,build-tsan,tsan)
	@ninja -C build-tsan --quiet

fuzz: ## each fuzz target for SECONDS (60)
	@tools/setup.sh build fuzz
	@$(call configure,build-fuzz,fuzz)
	@ninja -C build-fuzz --quiet
	@tests/fuzz/run $(or $(SECONDS),60)

bench: ## the figures of docs/PERFORMANCE.md; WRITE=1 writes them there
	@tools/setup.sh build run test
	@cmake --preset release >/dev/null
	@ninja -C build --quiet
	@bench/run $(if $(WRITE),--write)

stack-up: ## installs and starts the real systems on loopback (ONLY="kafka4 cassandra": those alone)
	@tests/stack/stack.sh up $(ONLY)

stack-down: ## stops them
	@tests/stack/stack.sh down $(ONLY)

stack-status:
	@tests/stack/stack.sh status $(ONLY)

stack-test: ## the project on the real systems, and the matrix (K=word: those tests)
	@tools/setup.sh build run test stack
	@cmake --preset release >/dev/null
	@ninja -C build --quiet
	@tests/stack/run $(if $(K),-k '$(K)')

docker-test: ## the image and the compose files, in an engine that is there or that is started
	@command -v docker >/dev/null 2>&1 || tools/setup.sh docker
	@tests/docker/run

bench-stack: ## one pipeline on the real stack and on Tidemill, side by side; WRITE=1 writes docs and README
	@tools/setup.sh build run test
	@cmake --preset release >/dev/null
	@ninja -C build --quiet
	@$${TM_PYTHON:-/usr/bin/python3} bench/stack.py $(if $(WRITE),--write)

docs: build ## the generated pages of docs/
	@tools/docs.py
	@tools/gen/functions.py

clean:
	@rm -rf build build-debug build-asan build-tsan build-fuzz
