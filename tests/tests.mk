# The tests, how they run, and the Debian packages that they need. tests/README.md says more.

# The demonstration needs little more than the build, tests and lint much more.
DEPS_DEMO  := mosquitto openssl sqlite3
DEPS_CHECK := $(DEPS_DEMO) libcmocka-dev mosquitto-clients python3-paho-mqtt python3-pytest \
              python3-pytest-xdist ca-certificates clang g++ iproute2 \
              libclang-rt-dev logrotate mandoc e2fsprogs mount procps strace systemd \
              systemd-container util-linux python3-prometheus-client python3-yaml microsocks tinyproxy-bin jq \
              $(if $(filter yes,$(POSTGRESQL)),postgresql)
# For tests with the marker `browser`.
DEPS_BROWSER := chromium
# The programs that schema/RECIPES.md has recipes for.
DEPS_RECIPES := python3-pandas r-cran-rsqlite sqlite-utils visidata jq
DEPS_LINT  := clang clang-format clang-tidy cppcheck

FLEET      := $(BUILD)/tests/fleet
# Libraries that system tests preload: another resolver, a slow disk, another time.
PRELOADS   := $(patsubst %,$(BUILD)/tests/%_shim.so,names slow_disk tls_write alloc quiet_paho clock io)

# System tests and campaigns wait more than they work: for a broker, a backoff, a limit.
WAITERS ?= $(shell echo $$(($(JOBS) < 4 ? 2 * $(JOBS) : 8)))
# A system test takes a sixth of a processor, a little more where it is sanitized.
SYSTEM_WAITERS = $(shell echo $$(($(WAITERS) * $(if $(SANITIZE),4,5) / 2)))

# tests/system/test_metrics.py looks there, whatever BUILD is.
TOOLS := build/tools

deps: ## install what build, tests and lint need (Debian packages, only what is missing)
	@tests/deps $(DEPS_BUILD) $(DEPS_CHECK) $(DEPS_LINT) $(DEPS_PACKAGING)
	@tests/promtool $(TOOLS)

deps-build: ## install what the build needs
	@tests/deps $(DEPS_BUILD)

deps-demo: ## install what build and demo need
	@tests/deps $(DEPS_BUILD) $(DEPS_DEMO)

deps-check: ## install what build and tests need
	@tests/deps $(DEPS_BUILD) $(DEPS_CHECK)

# Each stage: its name, and what it makes. What is long and rarely red is in the second list; together they
# are everything, and nothing twice. Packages, fuzz targets and the programs of ThreadSanitizer are compiled while the tests beside
# them wait.
CHECK := \
    'gcc without a warning: -j$(JOBS) lint-gcc' \
    'static checks: -j$(JOBS) lint-layers lint-format lint-cppcheck' \
    'build: -j$(JOBS) all test-programs bench-programs fault-programs' \
    'unit tests: unit' \
    'system tests, but for the long ones: system LONG=no' \
    'a few faults: faults-smoke'
CHECK_ALL := \
    'analyzers, and clang without a warning: -j$(JOBS) lint-clang lint-tidy lint-analyzer' \
    'unit and system tests, sanitized: test-sanitized' \
    'faults, and threads: -j3 faults test-threads' \
    'system tests on PostgreSQL: system-postgresql-quick' \
    'system tests and kills with the shared Paho, and packages: -j2 check-shared packages-quick' \
    'service on systemd, and fuzzing: -j3 service-run fuzz-quick SECONDS=5' \
    'report in a browser: check-browser' \
    'recipes of other programs: check-recipes' \
    'benchmark: bench-quick'
stages = tests/stages $@ '$(MAKE) --no-print-directory' '$(strip make $(MAKEOVERRIDES))'

check: deps ## install what is missing, build, and run what finds most faults: lint, unit and system tests
	$(Q)+$(stages) $(CHECK)

check-all: deps ## the rest, after make check: analyzers, sanitized, threads, faults, shared Paho, packages, service, browser, recipes, benchmark, fuzzing
	$(Q)+$(stages) $(CHECK_ALL)

test: unit system ## unit and system tests, without installing anything

test-sanitized: ## unit and system tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)/sanitized SANITIZE=address,undefined \
	    all test-programs
	$(Q)LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	    $(MAKE) --no-print-directory BUILD=$(BUILD)/sanitized SANITIZE=address,undefined test

SYSTEM_TESTS ?= $(if $(SANITIZE),$(SYSTEM_SANITIZED),tests/system)
# Under a sanitizer run the modules in which bytes from outside, or the end of something, go through our code: not those that read
# documents, ask the database with the sqlite3 shell, or do once more what others do.
SYSTEM_SANITIZED := $(patsubst %,tests/system/test_%.py,connection delivery gate hostile_input large_messages library log plot \
                protocol reload replay serve session start verify views)
# Of PostgreSQL: make system-postgresql.
SYSTEM_OF_POSTGRESQL := $(wildcard tests/system/test_postgresql*.py tests/system/test_migrate.py)
# Tests with the marker `long` take a third of the time. `make check` leaves them to `make check-all`, where check-shared runs
# every module.
LONG        ?= yes
SYSTEM_LEAVES := $(SYSTEM_OF_POSTGRESQL)

system: all $(FLEET) $(PRELOADS) ## the system tests: real mosquitto, real TLS, the built programs
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider -n $(SYSTEM_WAITERS) \
	    --dist loadgroup -m 'not browser$(if $(filter no,$(LONG)), and not long)' $(SYSTEM_LEAVES:%=--ignore=%) $(SYSTEM_TESTS)

# All modules but those that tests/system/engines.py leaves out, with the reason; and those that have a server of their own.
SYSTEM_POSTGRESQL ?= tests/system

system-postgresql: all $(FLEET) $(PRELOADS) ## the system tests on PostgreSQL, and the tests of PostgreSQL
	$(Q)FOXTRACKR_ENGINE=postgresql FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider \
	    -n $(SYSTEM_WAITERS) --dist loadgroup -m 'not browser' $(SYSTEM_POSTGRESQL)
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider \
	    -n $(SYSTEM_WAITERS) --dist loadgroup $(SYSTEM_OF_POSTGRESQL)

# The short way, for `make check-all`: of the modules that run on both engines, those that have most to do with the database.
system-postgresql-quick: SYSTEM_POSTGRESQL := $(patsubst %,tests/system/test_%.py,delivery gate hostile_input interruptions \
                replay session status_shown views)
system-postgresql-quick: system-postgresql

check-browser: all $(FLEET) $(PRELOADS) ## the report, written and live, in a headless Chromium
	$(Q)tests/deps $(DEPS_BROWSER)
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider -n $(WAITERS) \
	    -m browser tests/system

# The objects are the same with either library: the programs are linked once more, and nothing is compiled again.
check-shared: all $(FLEET) fault-programs ## the system tests and the campaigns of kills and memory with Paho's shared library
	$(Q)mkdir -p $(BUILD)/shared
	$(Q)cd $(BUILD) && find lib daemon schema small tests -name '*.[od]' -exec cp -u -p --parents -t shared {} +
	$(Q)find $(BUILD)/shared -name '*.d' -exec sed -i 's,^$(BUILD)/\(shared/\)\?\([^ ]*\.o:\),$(BUILD)/shared/\2,' {} +
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/shared PAHO=shared system
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/shared PAHO=shared \
	    FAULTS='tests/faults/kills tests/faults/memory' campaigns

# The tests of code that several threads use, with ThreadSanitizer. A report fails the test whose program ends with it, and the target where the
# program was killed.
THREADS      := $(BUILD)/threads
THREADS_UNIT := gate gate_lockstep intake log paho paho_5 paho_accept paho_ahead paho_cork paho_large tls watchdog writer \
                $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_session_*.c))
THREADS_SYSTEM := connection delivery gate interruptions log reload serve session
of_threads = $(MAKE) --no-print-directory BUILD=$(THREADS) SANITIZE=thread LONG=no \
    UNIT_TESTS='$(THREADS_UNIT:%=$(THREADS)/tests/test_%)' SYSTEM_TESTS='$(THREADS_SYSTEM:%=tests/system/test_%.py)'

test-threads: ## the tests in which threads meet, under ThreadSanitizer
	$(Q)$(of_threads) -j$(JOBS) all test-programs
	$(Q)rm -rf $(THREADS)/reports && mkdir $(THREADS)/reports
	$(Q)status=0; TSAN_OPTIONS=history_size=7:log_path=$(abspath $(THREADS))/reports/report \
	    $(of_threads) test || status=1; \
	for report in $(THREADS)/reports/*; do [ ! -f $$report ] || { cat $$report; status=1; }; done; \
	exit $$status

# Not part of check-all: it waits for brokers that take long to start, and fetches 140 MB the first time.
CHECK_BROKERS := \
    'build: -j$(JOBS) all test-programs' \
    'fetch the brokers: brokers' \
    'each broker: each-broker'
BROKERS := $(abspath $(BUILD))/brokers

check-brokers: ## the daemon against mosquitto, ejabberd, RabbitMQ, NATS and aedes, and the README's table of them
	$(Q)tests/deps $(DEPS_CHECK)
	$(Q)+$(stages) $(CHECK_BROKERS)

brokers: ## fetch these brokers into a directory of their own
	$(Q)tests/brokers/install $(BROKERS)

each-broker:
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) FOXTRACKR_BROKERS=$(BROKERS) $(PYTHON) -B -m pytest -q \
	    -p no:cacheprovider -n $(WAITERS) --dist loadgroup tests/brokers

# DuckDB is not in Debian; without npm its recipe is left out. The programs are large: not part of make check.
DUCKDB  := @duckdb/node-api@1.5.6-r.1
RECIPES := $(abspath $(BUILD))/recipes

check-recipes: all ## every recipe of schema/RECIPES.md: pandas, R, sqlite-utils, VisiData, DuckDB
	$(Q)tests/deps $(DEPS_RECIPES)
	$(Q)mkdir -p $(RECIPES)
	$(Q)[ -d $(RECIPES)/node_modules/@duckdb ] || ! command -v npm >/dev/null || \
	    npm install --silent --no-fund --no-audit --prefix $(RECIPES) $(DUCKDB) || \
	    echo 'check-recipes: DuckDB could not be had from npm' >&2
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) FOXTRACKR_RECIPES=$(RECIPES) $(PYTHON) -B -m pytest -q \
	    -p no:cacheprovider tests/recipes

check-debian13: ## lint, test and package what is committed on Debian 13 (root or sudo; debootstrap)
	$(Q)tests/deps debootstrap git util-linux
	$(Q)tests/debian13 $(TARGETS)

demo: ## a private broker, a thousand trackers, seven days, and what an analyst sees
	$(Q)tests/demo --check-localhost
	$(Q)$(MAKE) --no-print-directory deps-demo
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all $(FLEET)
	$(Q)tests/demo $(abspath $(BUILD))

test-programs: $(UNIT_TESTS) $(FLEET) $(PRELOADS)

$(FLEET): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*.c))
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lpaho-mqtt3as -lm

.PHONY: deps deps-build deps-demo deps-check check check-all check-brokers brokers each-broker check-browser check-shared check-recipes \
        check-debian13 test test-sanitized test-threads test-programs system system-postgresql system-postgresql-quick demo
