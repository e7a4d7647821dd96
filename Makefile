# The thin front of CMake: see HACKING.md. NO_INSTALL=1 only tells what is missing.
.DEFAULT_GOAL := build
.PHONY: build debug run test
build:
	@tools/setup.sh build
	@test -f build/build.ninja || cmake --preset release >build-release.log 2>&1 || { cat build-release.log; exit 1; }
	@rm -f build-release.log
	@ninja -C build
debug:
	@test -f build-debug/build.ninja || cmake --preset debug
	@ninja -C build-debug
