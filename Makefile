# foxtrackrd: how it is built. `make help` lists all targets; V=1 shows the commands.
#
# Tests, lint, packages and installation stand beside what they are about, in the files included below.

VERSION := 1.0.0
.DEFAULT_GOAL := all

PREFIX        ?= /usr/local
SBINDIR       ?= $(PREFIX)/sbin
LIBDIR        ?= $(PREFIX)/lib
MODULEDIR     ?= $(LIBDIR)/foxtrackrd
INCLUDEDIR    ?= $(PREFIX)/include
MANDIR        ?= $(PREFIX)/share/man
DOCDIR        ?= $(PREFIX)/share/doc/foxtrackrd
SYSCONFDIR    ?= /etc
SYSTEMDDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR   ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR   ?= $(PREFIX)/lib/tmpfiles.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
BUILD         ?= build
# The module for PostgreSQL, which needs libpq: yes or no.
POSTGRESQL    ?= yes
V             ?= 0
Q             := $(if $(filter 1,$(V)),,@)
PYTHON        ?= /usr/bin/python3
JOBS          := $(shell nproc)

# The packages that the build needs, by Debian's names.
DEPS_BUILD := gcc make binutils pkg-config libpaho-mqtt-dev libsqlite3-dev libjansson-dev libsystemd-dev \
              libssl-dev libinih-dev libjs-dygraphs libmicrohttpd-dev $(if $(filter yes,$(POSTGRESQL)),libpq-dev)

CC          ?= cc
OPTIMIZE    ?= -O2 -g
WARNINGS    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
               -Wformat=2 -Wvla
HARDENING   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fstack-clash-protection
LDHARDENING := -fPIE -pie -Wl,-z,relro -Wl,-z,now
ifneq ($(SANITIZE),)
OPTIMIZE    := -O1 -g1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
HARDENING   := -fPIE
LDHARDENING := -pie -fsanitize=$(SANITIZE)
endif

PACKAGES    := sqlite3 jansson libsystemd openssl inih
# Of foxtrackrctl alone: the daemon serves nothing.
PACKAGES_CTL := libmicrohttpd
# Of the module for PostgreSQL alone.
PACKAGES_PG  := $(if $(filter yes,$(POSTGRESQL)),libpq)
# Our own headers are in quotes, and lead from here: "store/store.h".
CPPFLAGS_   := -D_GNU_SOURCE -DFOXTRACKRD_VERSION='"$(VERSION)"' -iquote lib -iquote daemon \
               -iquote schema -DMODULEDIR='"$(MODULEDIR)"'
CFLAGS_     = -std=c11 $(OPTIMIZE) $(WARNINGS) $(WERROR) $(HARDENING) -pthread -MMD -MP
LDFLAGS_    := $(LDHARDENING) -pthread
# Looked up when a recipe runs, so that `make deps` works where pkg-config is not there yet.
PKG_CFLAGS  = $(shell pkg-config --cflags $(PACKAGES) $(PACKAGES_CTL) $(PACKAGES_PG))
LIBS_DAEMON = $(LIBS_PAHO) $(shell pkg-config --libs $(PACKAGES)) -lm
LIBS_CTL    = $(shell pkg-config --libs $(PACKAGES_CTL))

comma       := ,
OBJECTS      = $(filter %.o %.a,$^) # of a program that depends on PAHO_FLAGS too

include daemon/mqtt/paho/paho.mk
include daemon/ctl/report/report.mk
include daemon/store/postgresql/postgresql.mk

LIB_SRC    := $(wildcard lib/*.c)
# Everything but the two programs' own files is shared by them and by the unit tests.
ROOMS_SRC  := $(wildcard daemon/*.c daemon/*/*.c daemon/*/*/*.c)
CTL_SRC    := $(wildcard daemon/ctl/*.c)
DAEMON_SRC := $(filter-out daemon/main.c $(PAHO_ONLY) $(CTL_SRC) $(POSTGRESQL_SRC),$(ROOMS_SRC))

LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o)
CTL_OBJ    := $(CTL_SRC:%.c=$(BUILD)/%.o) $(REPORT_FILES)/files.o
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o) $(BUILD)/schema/sqlite_migrations.o
LIBRARY    := $(BUILD)/libfoxtrackr.a
PROGRAMS   := $(BUILD)/foxtrackrd $(BUILD)/foxtrackrctl

all: $(PROGRAMS) $(POSTGRESQL_MODULE) $(LIBRARY) $(BUILD)/foxtrackr.pc ## build the daemon, foxtrackrctl and libfoxtrackr

$(BUILD)/foxtrackrd: $(BUILD)/daemon/main.o $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
$(BUILD)/foxtrackrctl: $(CTL_OBJ) $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
$(BUILD)/foxtrackrctl: private LIBS_OWN = $(LIBS_CTL)
$(PROGRAMS):
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) $(LDFLAGS_HOST) -o $@ $(OBJECTS) $(LIBS_OWN) $(LIBS_DAEMON)

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

# Each migration of schema/ENGINE becomes a C string, in the order of the file names.
$(BUILD)/schema/sqlite_migrations.c: $(sort $(wildcard schema/sqlite/[0-9]*.sql))
$(BUILD)/schema/postgresql_migrations.c: $(sort $(wildcard schema/postgresql/[0-9]*.sql))
$(BUILD)/schema/%_migrations.c: Makefile
	@mkdir -p $(@D)
	@echo "  GEN     $@"
	$(Q){ echo '#include "migrations.h"'; \
	      echo 'const char *const $*_migrations[] = {'; \
	      for file in $(filter %.sql,$^); do \
	          sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $$file; echo ','; \
	      done; \
	      echo '};'; \
	      echo 'const int $*_migration_count = sizeof($*_migrations) / sizeof($*_migrations[0]);'; } > $@

$(BUILD)/schema/%_migrations.o: $(BUILD)/schema/%_migrations.c
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) -c -o $@ $<

# Made anew each time: `make install PREFIX=...` may name another place than `make` did.
$(BUILD)/foxtrackr.pc: lib/foxtrackr.pc.in FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' $< > $@.$$$$ && mv $@.$$$$ $@

include packaging/install.mk      # install, uninstall
include tests/unit/unit.mk        # the unit tests' programs
include tests/faults/faults.mk    # campaigns of faults
include tests/tests.mk            # check, check-all, and what they consist of; the packages that this takes
include tests/lint.mk             # static checks
include tests/fuzz/fuzz.mk
include tests/service/service.mk  # the packages on a systemd
include tests/bench/bench.mk      # the benchmarks' programs
include tests/bench/run.mk        # the benchmarks
include packaging/packaging.mk    # Debian's packages

clean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(filter %Makefile %.mk,$(MAKEFILE_LIST)) | awk -F'|' '{printf "%-24s %s\n", $$1, $$2}'

.PHONY: all clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

-include $(shell find $(BUILD) '(' -name trixie -o -name brokers ')' -prune -o -name '*.d' -type f -print 2>/dev/null)
