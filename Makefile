# foxtrackrd: build, test, install. `make help` lists the targets; V=1 shows the commands.

VERSION := 0.1.0

PREFIX        ?= /usr/local
SBINDIR       ?= $(PREFIX)/sbin
LIBDIR        ?= $(PREFIX)/lib
INCLUDEDIR    ?= $(PREFIX)/include
MANDIR        ?= $(PREFIX)/share/man
DOCDIR        ?= $(PREFIX)/share/doc/foxtrackrd
SYSCONFDIR    ?= /etc
SYSTEMDDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR   ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR   ?= $(PREFIX)/lib/tmpfiles.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
BUILD         ?= build
V             ?= 0
Q             := $(if $(filter 1,$(V)),,@)
PYTHON        ?= /usr/bin/python3
JOBS          := $(shell nproc)

# Debian's names. The demonstration needs little more than the build, tests and lint much more.
DEPS_BUILD := gcc make pkg-config libpaho-mqtt-dev libsqlite3-dev libjansson-dev libsystemd-dev \
              libssl-dev libinih-dev
DEPS_DEMO  := mosquitto openssl sqlite3
DEPS_CHECK := $(DEPS_DEMO) libcmocka-dev mosquitto-clients python3-paho-mqtt python3-pytest \
              python3-pytest-xdist binutils ca-certificates clang g++ iproute2 \
              libclang-rt-dev logrotate mandoc e2fsprogs mount procps strace systemd \
              systemd-container util-linux python3-prometheus-client python3-yaml
DEPS_LINT  := clang clang-format clang-tidy cppcheck

CC          ?= cc
OPTIMIZE    ?= -O2 -g
WARNINGS    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
               -Wformat=2 -Wvla
HARDENING   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fstack-clash-protection
LDHARDENING := -fPIE -pie -Wl,-z,relro -Wl,-z,now
ifneq ($(SANITIZE),)
OPTIMIZE    := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
HARDENING   := -fPIE
LDHARDENING := -pie -fsanitize=$(SANITIZE)
endif

PACKAGES    := sqlite3 jansson libsystemd openssl inih
# Our own headers are in quotes, and lead from here: "store/store.h".
CPPFLAGS_   := -D_GNU_SOURCE -DFOXTRACKRD_VERSION='"$(VERSION)"' -iquote lib -iquote daemon \
               -iquote schema
CFLAGS_     = -std=c11 $(OPTIMIZE) $(WARNINGS) $(WERROR) $(HARDENING) -pthread -MMD -MP
LDFLAGS_    := $(LDHARDENING) -pthread
# Looked up when a recipe runs, so that `make deps` works where pkg-config is not there yet.
PKG_CFLAGS  = $(shell pkg-config --cflags $(PACKAGES))
LIBS_DAEMON = $(LIBS_PAHO) $(shell pkg-config --libs $(PACKAGES)) -lm

# Paho without its debug heap where Debian's archive allows it, see daemon/mqtt/paho/lean.c, and with
# its acknowledgements written together, see daemon/mqtt/paho/cork.c, many packets read at once, see
# daemon/mqtt/paho/ahead.c, without two walks, see daemon/mqtt/paho/shortcuts.c, and with every packet checked
# first, see daemon/mqtt/paho/check.c; otherwise (or with PAHO=shared) the shared library.
PAHO        ?= lean
PAHO_FLAGS  := $(BUILD)/paho.flags
PAHO_STATIC  = $(shell $(CC) -print-file-name=libpaho-mqtt3as.a)
comma       := ,
PAHO_OBJ    := $(addprefix $(BUILD)/daemon/mqtt/paho/,lean.o cork.o ahead.o shortcuts.o check.o)
PAHO_WRAPS  := $(addprefix -Wl$(comma)--wrap=,SSL_write SSL_read SSL_pending SSL_shutdown SSL_free poll \
                 ERR_clear_error ListFindItem ListAppend ListAppendNoMalloc ListInsert ListRemove ListEmpty ListFree \
                 ListFreeNoContent WebSocket_getch WebSocket_getdata WebSocket_putdatas)
OBJECTS      = $(filter %.o %.a,$^) # of a program that depends on PAHO_FLAGS too
LIBS_PAHO    = $$(cat $(PAHO_FLAGS))
LIBS_PAHO_BARE = $$(sed 's|[^ ]*paho/cork.o .*$(PAHO_WRAPS)||' $(PAHO_FLAGS))

LIB_SRC    := $(wildcard lib/*.c)
# Everything but the two programs' own files is shared by them and by the unit tests.
ROOMS_SRC  := $(wildcard daemon/*.c daemon/*/*.c daemon/*/*/*.c)
CTL_SRC    := $(wildcard daemon/ctl/*.c)
DAEMON_SRC := $(filter-out daemon/main.c $(PAHO_OBJ:$(BUILD)/%.o=%.c) $(CTL_SRC),$(ROOMS_SRC))
MIGRATIONS := $(sort $(wildcard schema/[0-9]*.sql))
UNIT_SRC   := $(wildcard tests/unit/test_*.c)

LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o)
CTL_OBJ    := $(CTL_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o) $(BUILD)/schema/migrations.o
LIBRARY    := $(BUILD)/libfoxtrackr.a
PROGRAMS   := $(BUILD)/foxtrackrd $(BUILD)/foxtrackrctl
UNIT_TESTS := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
FLEET      := $(BUILD)/tests/fleet
# What system tests preload: another resolver, a disk that is never fast.
PRELOADS   := $(addprefix $(BUILD)/tests/,names_shim.so slow_disk_shim.so tls_write_shim.so)

# With lots of the inbox so small that a test fills them: for the campaigns, and for unit tests.
SMALL_LOTS := -DINBOX_SCALE=1024
TINY_LOTS  := -DINBOX_SCALE=49152
UNIT_SMALL := $(BUILD)/tests/test_inbox_sizes
UNIT_TINY  := $(addprefix $(BUILD)/tests/test_inbox_,scratch faults_tiny)
UNIT_TESTS := $(sort $(UNIT_TESTS) $(UNIT_TINY))
SIZED      := inbox.o inbox_sizes.o
SMALL_DAEMON := $(BUILD)/small/foxtrackrd
OTHER_OBJ  := $(filter-out $(SIZED:%=$(BUILD)/daemon/store/sqlite/%),$(DAEMON_OBJ))

all: $(PROGRAMS) $(LIBRARY) $(BUILD)/foxtrackr.pc ## build the daemon, foxtrackrctl and libfoxtrackr

$(BUILD)/foxtrackrd: $(BUILD)/daemon/main.o $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
$(BUILD)/foxtrackrctl: $(CTL_OBJ) $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
$(SMALL_DAEMON): $(BUILD)/daemon/main.o $(OTHER_OBJ) $(SIZED:%=$(BUILD)/small/store/sqlite/%) $(LIBRARY) $(PAHO_FLAGS)
$(PROGRAMS) $(SMALL_DAEMON):
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS_DAEMON)

# What to link for Paho, found by trying: it fails if the debug heap's members are taken in.
$(PAHO_FLAGS): $(PAHO_OBJ) $(BUILD)/daemon/mqtt/paho/packet.o Makefile
	$(Q)if [ $(PAHO) = lean ] && \
	    printf '%s\n' '#include <MQTTAsync.h>' '_Noreturn void paho_out_of_memory(void) { for (;;) {} }' \
	        'int main(void) { return MQTTAsync_create(NULL, "", "", 0, NULL); }' | \
	    $(CC) $(LDFLAGS_) -fPIE -o $@.probe -x c - -x none $(PAHO_OBJ) $(BUILD)/daemon/mqtt/paho/packet.o $(PAHO_WRAPS) \
	        $(PAHO_STATIC) -lssl -lcrypto 2> $@.log; \
	then \
	    echo "  PAHO    $(PAHO_STATIC), without its debug heap"; \
	    echo "$(PAHO_OBJ) $(PAHO_WRAPS) $(PAHO_STATIC)" > $@; \
	else \
	    echo "  PAHO    the shared library, slower: $(if $(filter lean,$(PAHO)),see $@.log,as PAHO=$(PAHO) asks)"; \
	    echo "-lpaho-mqtt3as" > $@; \
	fi; rm -f $@.probe

$(LIBRARY): $(LIB_OBJ)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

define compile
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS_) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) -c -o $@ $<
endef

$(BUILD)/%.o: %.c
	$(compile)

$(BUILD)/small/%.o: CPPFLAGS_ += $(SMALL_LOTS)
$(BUILD)/tiny/%.o: CPPFLAGS_ += $(TINY_LOTS)
$(BUILD)/small/%.o: daemon/%.c
	$(compile)
$(BUILD)/tiny/%.o: daemon/%.c
	$(compile)

# Each migration becomes a C string, in the order of the file names.
$(BUILD)/schema/migrations.c: $(MIGRATIONS) Makefile
	@mkdir -p $(@D)
	@echo "  GEN     $@"
	$(Q){ echo '#include "migrations.h"'; \
	      echo 'const char *const migrations[] = {'; \
	      for file in $(MIGRATIONS); do \
	          sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $$file; echo ','; \
	      done; \
	      echo '};'; \
	      echo 'const int migration_count = sizeof(migrations) / sizeof(migrations[0]);'; } > $@

$(BUILD)/schema/migrations.o: $(BUILD)/schema/migrations.c
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) -c -o $@ $<

# Made anew each time: `make install PREFIX=...` may name another place than `make` did.
$(BUILD)/foxtrackr.pc: lib/foxtrackr.pc.in FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' $< > $@.$$$$ && mv $@.$$$$ $@

# Unit tests: one binary a module, linked with everything so that each can use what it needs.
define link_test
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $$(pkg-config --libs cmocka) $(LIBS_DAEMON)
endef

$(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
	$(link_test)

# The check alone: the test stands in for Paho.
$(BUILD)/tests/test_paho_check: $(addprefix $(BUILD)/,tests/unit/test_paho_check.o daemon/mqtt/paho/check.o daemon/mqtt/paho/packet.o)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $$(pkg-config --libs cmocka)

# What they share with the inbox is its sizes.
$(UNIT_SMALL): $(BUILD)/tests/test_%: $(BUILD)/small/test_%.o $(SIZED:%=$(BUILD)/small/store/sqlite/%) $(OTHER_OBJ) $(LIBRARY) $(PAHO_FLAGS)
	$(link_test)
$(UNIT_TINY): $(BUILD)/tests/test_%: $(BUILD)/tiny/test_%.o $(SIZED:%=$(BUILD)/tiny/store/sqlite/%) $(OTHER_OBJ) $(LIBRARY) $(PAHO_FLAGS)
	$(link_test)
$(BUILD)/small/test_%.o: tests/unit/test_%.c
	$(compile)
$(BUILD)/tiny/test_%_tiny.o: tests/unit/test_%.c
	$(compile)
$(BUILD)/tiny/test_%.o: tests/unit/test_%.c
	$(compile)

# This one counts how many messages a search has looked at.
$(BUILD)/tests/test_paho_shortcuts: private LDFLAGS_ += -Wl,--wrap=messageIDCompare

# This one has Paho's callbacks at hand.
$(BUILD)/tests/test_paho: private LDFLAGS_ += -Wl,--wrap=MQTTAsync_create,--wrap=MQTTAsync_setCallbacks

# This one makes the library's allocations fail, one after the other.
$(BUILD)/tests/test_library: private LDFLAGS_ += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

# These have the clocks in their hands.
$(addprefix $(BUILD)/tests/test_writer_,rejudge survey): private LDFLAGS_ += \
    -Wl,--wrap=clock_gettime,--wrap=adjtimex

# And these what the inbox needs, or asks for.
$(BUILD)/tests/test_inbox_faults $(BUILD)/tests/test_inbox_faults_tiny: private LDFLAGS_ += \
    -Wl,--wrap=calloc,--wrap=sqlite3_step,--wrap=sqlite3_extended_errcode
$(UNIT_SMALL): private LDFLAGS_ += -Wl,--wrap=store_inbox_newest_device,--wrap=store_used_bytes,--wrap=store_inbox_scratch
$(BUILD)/tests/test_inbox_scratch: private LDFLAGS_ += \
    -Wl,$(subst $() ,$(comma),$(foreach call,open pread pwrite,--wrap=$(call) --wrap=$(call)64))

$(FLEET): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*.c))
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lpaho-mqtt3as -lm

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

check: deps ## install what is missing, build, run every test
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) lint
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all test-programs $(UNIT_TESTS) bench-programs
	$(Q)$(MAKE) --no-print-directory test
	$(Q)$(MAKE) --no-print-directory test-sanitized
	$(Q)$(MAKE) --no-print-directory faults
	$(Q)$(MAKE) --no-print-directory packages-quick
	$(Q)$(MAKE) --no-print-directory service-run
	$(Q)$(MAKE) --no-print-directory bench-quick
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) fuzz-quick SECONDS=20

check-debian13: ## lint, test and package what is committed on Debian 13 (root or sudo; debootstrap)
	$(Q)tests/deps debootstrap git util-linux
	$(Q)tests/debian13 $(TARGETS)

test: unit system ## every test, without installing anything

test-sanitized: ## every test under AddressSanitizer and UndefinedBehaviorSanitizer
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)/sanitized SANITIZE=address,undefined \
	    all test-programs
	$(Q)LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	    $(MAKE) --no-print-directory BUILD=$(BUILD)/sanitized SANITIZE=address,undefined test

# Where threads meet. A report fails the test whose program ends with it, and the target where the
# program was killed.
THREADS      := $(BUILD)/threads
THREADS_UNIT := gate gate_lockstep intake log paho paho_ahead paho_cork tls watchdog writer
THREADS_SYSTEM := addresses backup connection delivery gate inbox interruptions log paho_link reload session \
                  start status

test-threads: ## the tests in which threads meet, under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(THREADS) SANITIZE=thread all test-programs
	$(Q)rm -rf $(THREADS)/reports && mkdir $(THREADS)/reports
	$(Q)status=0; TSAN_OPTIONS=history_size=7:log_path=$(abspath $(THREADS))/reports/report \
	    $(MAKE) --no-print-directory BUILD=$(THREADS) SANITIZE=thread \
	    UNIT_TESTS='$(THREADS_UNIT:%=$(THREADS)/tests/test_%)' \
	    SYSTEM_TESTS='$(THREADS_SYSTEM:%=tests/system/test_%.py)' test || status=1; \
	for report in $(THREADS)/reports/*; do [ ! -f $$report ] || { cat $$report; status=1; }; done; \
	exit $$status

test-programs: $(UNIT_TESTS) $(FLEET) $(PRELOADS)

# System tests and campaigns wait more than they work: for a broker, a backoff, a limit.
WAITERS ?= $(shell echo $$(($(JOBS) < 4 ? 2 * $(JOBS) : 8)))

unit: $(UNIT_TESTS) ## the unit tests
	$(Q)printf '%s\n' $(UNIT_TESTS) | FOXTRACKR_ROOT=$(CURDIR) tests/parallel $(JOBS)

SYSTEM_TESTS ?= tests/system

system: all $(FLEET) $(PRELOADS) ## the system tests: real mosquitto, real TLS, the built programs
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider -n $(WAITERS) \
	    $(SYSTEM_TESTS)

demo: ## a private broker, a fleet with a 7-day backlog, and what an analyst sees
	$(Q)tests/demo --check-localhost
	$(Q)$(MAKE) --no-print-directory deps-demo
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all $(FLEET)
	$(Q)tests/demo $(abspath $(BUILD))

# What is preloaded into the daemon to make its surroundings fail.
SHIMS := $(patsubst tests/faults/%.c,$(BUILD)/tests/%.so,$(wildcard tests/faults/*_shim.c))

$(BUILD)/tests/%_shim.so: tests/faults/%_shim.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS_)) $(CFLAGS) \
	    -fPIC -shared -o $@ $< -ldl

FAULTS := $(wildcard $(addprefix tests/faults/,kills powerloss disk memory network malformed tls input operator migration))
N           ?= 5000
SEED        ?= 1
# The same every time: a check that fails must fail again. Other seeds are for the campaigns.
FAULTS_SEED ?= 12

faults: all $(SMALL_DAEMON) $(SHIMS) ## every campaign of tests/faults, each for a few minutes at most
	$(Q)$(PYTHON) -B -m pytest -q -p no:cacheprovider tests/faults/test_broker.py
	@echo "  FAULTS  $(notdir $(FAULTS)), $(WAITERS) at a time"
	$(Q)printf '$(PYTHON) -B %s --build $(abspath $(BUILD)) --quick --seed $(FAULTS_SEED)\n' \
	    $(FAULTS) | tests/parallel $(WAITERS)

crash-campaign: all $(SMALL_DAEMON) $(SHIMS) ## kill -9 and power loss, N times each (N=5000 SEED=1)
	$(Q)$(PYTHON) -B tests/faults/kills --build $(abspath $(BUILD)) --count $(N) --seed $(SEED)
	$(Q)$(PYTHON) -B tests/faults/powerloss --build $(abspath $(BUILD)) --count $(N) --seed $(SEED)

include tests/fuzz/fuzz.mk
include tests/bench/bench.mk
include tests/service/service.mk
include tests/bench/run.mk
include packaging/packaging.mk

SOURCES := $(wildcard lib/*.[ch] daemon/*.[ch] daemon/*/*.[ch] daemon/*/*/*.[ch] tests/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] \
             tests/bench/*.[ch] tests/bench/broker/*.[ch])

lint: lint-layers lint-format lint-tidy lint-cppcheck lint-analyzer lint-compilers ## every static check

lint-layers:
	@echo "  LINT    rooms and their doors"
	$(Q)tests/layers

lint-format:
	@echo "  LINT    clang-format"
	$(Q)clang-format --dry-run --Werror $(SOURCES)

lint-tidy: $(BUILD)/schema/migrations.c
	@echo "  LINT    clang-tidy"
	$(Q)printf '%s\n' $(LIB_SRC) $(ROOMS_SRC) | xargs -P $(JOBS) -I{} \
	    clang-tidy --quiet {} -- -std=c11 $(CPPFLAGS_) $(PKG_CFLAGS) 2>/dev/null

lint-cppcheck:
	@echo "  LINT    cppcheck"
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
	    -DJSON_INTEGER_FORMAT='"lld"' $(subst -iquote ,-I,$(CPPFLAGS_)) lib daemon

lint-analyzer:
	@echo "  LINT    gcc -fanalyzer"
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/analyzer CC=gcc OPTIMIZE='-O1 -g -fanalyzer' \
	    WERROR=-Werror all

lint-compilers:
	@echo "  LINT    clang and gcc without a warning"
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=clang WERROR=-Werror all test-programs bench-programs
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/gcc CC=gcc WERROR=-Werror all test-programs bench-programs

MAN_PAGES := $(wildcard daemon/*.[58] lib/*.3)
EXAMPLES  := packaging/prometheus/foxtrackrd.rules.yml packaging/grafana/foxtrackrd.json \
             $(wildcard packaging/examples/*.json)
CONF      := $(SYSCONFDIR)/foxtrackrd/foxtrackrd.conf
LOGROTATE := $(SYSCONFDIR)/logrotate.d/foxtrackrd
# Lines of the unit that only systemd 254 and newer know; an older one would complain about them.
SINCE_254  = $(shell pkg-config --atleast-version=254 libsystemd && echo 's|^@254@||' || echo '/^@254@/d; /systemd 254/d')

install: all ## install below DESTDIR and PREFIX; an existing configuration stays as it is
	install -D -m 0755 $(BUILD)/foxtrackrd $(DESTDIR)$(SBINDIR)/foxtrackrd
	install -D -m 0755 $(BUILD)/foxtrackrctl $(DESTDIR)$(SBINDIR)/foxtrackrctl
	install -D -m 0644 $(LIBRARY) $(DESTDIR)$(LIBDIR)/libfoxtrackr.a
	install -D -m 0644 lib/foxtrackr.h $(DESTDIR)$(INCLUDEDIR)/foxtrackr.h
	install -D -m 0644 $(BUILD)/foxtrackr.pc $(DESTDIR)$(LIBDIR)/pkgconfig/foxtrackr.pc
	for page in $(MAN_PAGES); do \
	    install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; \
	done
	install -D -m 0644 schema/README.md $(DESTDIR)$(DOCDIR)/schema.md
	for file in $(EXAMPLES); do \
	    install -D -m 0644 $$file $(DESTDIR)$(DOCDIR)/examples/$${file##*/} || exit 1; \
	done
	install -d $(DESTDIR)$(SYSTEMDDIR)
	sed -e 's|@SBINDIR@|$(SBINDIR)|' -e '$(SINCE_254)' systemd/foxtrackrd.service \
	    > $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service
	sed -f systemd/instance.sed $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service \
	    > $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd@.service
	chmod 0644 $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd@.service
	install -D -m 0644 systemd/foxtrackrd.sysusers $(DESTDIR)$(SYSUSERSDIR)/foxtrackrd.conf
	install -D -m 0644 systemd/foxtrackrd.tmpfiles $(DESTDIR)$(TMPFILESDIR)/foxtrackrd.conf
	install -D -m 0644 packaging/foxtrackrd.logrotate $(DESTDIR)$(LOGROTATE)
	install -D -m 0644 packaging/completion/foxtrackrctl.bash $(DESTDIR)$(COMPLETIONDIR)/foxtrackrctl
	test -e $(DESTDIR)$(CONF) || install -D -m 0640 foxtrackrd.conf $(DESTDIR)$(CONF)

uninstall: ## remove what install put there, but not the configuration
	rm -f $(DESTDIR)$(SBINDIR)/foxtrackrd $(DESTDIR)$(SBINDIR)/foxtrackrctl \
	    $(DESTDIR)$(LIBDIR)/libfoxtrackr.a $(DESTDIR)$(INCLUDEDIR)/foxtrackr.h \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/foxtrackr.pc $(DESTDIR)$(DOCDIR)/schema.md \
	    $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service \
	    $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd@.service $(DESTDIR)$(SYSUSERSDIR)/foxtrackrd.conf \
	    $(DESTDIR)$(TMPFILESDIR)/foxtrackrd.conf $(DESTDIR)$(LOGROTATE) \
	    $(DESTDIR)$(COMPLETIONDIR)/foxtrackrctl
	for page in $(MAN_PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	for file in $(EXAMPLES); do rm -f $(DESTDIR)$(DOCDIR)/examples/$${file##*/}; done
	rm -f -d $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR)

clean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-24s %s\n", $$1, $$2}'

.PHONY: all deps deps-build deps-demo deps-check check check-debian13 test test-sanitized test-threads \
        test-programs unit system \
        demo faults crash-campaign lint \
        lint-format lint-tidy lint-cppcheck lint-analyzer lint-compilers install uninstall clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

-include $(shell find $(BUILD) -name trixie -prune -o -name '*.d' -type f -print 2>/dev/null)
