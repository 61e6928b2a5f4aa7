# Apus. Two commands do everything, on a fresh Debian or Ubuntu with Swift 6.2 or later:
#
#     sudo make run      build, and trace this host until Ctrl-C
#     sudo make test     every test
#
# make run ARGS="trace --events openat -- ls" passes arguments.

ARGS ?= trace
SWIFT_PATH = PATH="$$(Scripts/swift-path):$$PATH"
# Warnings are errors in debug builds; see Package.swift.
STRICT = APUS_STRICT=1
BINARY = .build/release/apus
STATIC = .build/apus-static
# A static binary has its own build folder, as its flags would rebuild everything.
STATIC_BUILD = .build-static

.PHONY: build run test test-pure test-build test-live test-vm kernel-matrix verifier-report cost static lint format \
	bench docs clean

build:
	@Scripts/setup build
	@$(SWIFT_PATH) swift build -c release --product apus

run: build
	@exec $(BINARY) $(ARGS)

test: test-pure test-build test-live test-vm cost

test-pure:
	@Scripts/setup build test
	@$(STRICT) $(SWIFT_PATH) swift test

test-build: build
	Tests/Build/run

test-live: build
	@Scripts/setup test
	Tests/Live/run

test-vm: static
	@Scripts/setup test
	APUS_BINARY=$(STATIC) Tests/VM/run
	APUS_BINARY=$(STATIC) Tests/VM/containers
	APUS_BINARY=$(STATIC) Tests/VM/containers --v1 6.1

# The tables under Docs: which events each kernel gives, and what its verifier has to do for them.
kernel-matrix: static
	@Scripts/setup test
	APUS_BINARY=$(STATIC) Tests/VM/run --write

verifier-report: static
	@Scripts/setup test
	APUS_BINARY=$(STATIC) Tests/VM/verifier.py --write

# The event reference: a page for each event. A pure test compares it with the catalogue.
docs: build
	@rm -rf Docs/events
	@$(BINARY) events docs Docs/events

# Compares with Docs/hook-cost.md; `Tests/Cost/run --write` renews it.
cost: static
	@Scripts/setup test
	APUS_BINARY="$(CURDIR)/$(STATIC)" Tests/Cost/run

# The linker warns that glibc's name services and plugins need its shared objects at run time;
# Apus uses neither.
static:
	@Scripts/setup build
	@$(SWIFT_PATH) swift build -c release -Xswiftc -static-executable --scratch-path $(STATIC_BUILD) --product apus
	@cp $(STATIC_BUILD)/release/apus $(STATIC)
	@strip $(STATIC)
	@size=$$(stat -c %s $(STATIC)); echo "$(STATIC): $$size bytes"; test $$size -le 15728640

lint:
	@Scripts/setup build test
	@$(STRICT) $(SWIFT_PATH) swift build --build-tests
	@Scripts/lint

format:
	@$(SWIFT_PATH) swift format --in-place --recursive --parallel Sources Plugins Tests Package.swift

bench: build
	@Scripts/setup bench
	@$(SWIFT_PATH) Benchmarks/run; status=$$?; $(SWIFT_PATH) Benchmarks/policies && exit $$status

clean:
	rm -rf .build $(STATIC_BUILD)
