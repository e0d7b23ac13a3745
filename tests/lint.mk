# The static checks.

# A make below another shares the other's jobs, if it has several.
parallel = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

SOURCES := $(wildcard lib/*.[ch] daemon/*.[ch] daemon/*/*.[ch] daemon/*/*/*.[ch] tests/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] \
             tests/bench/*.[ch] tests/bench/broker/*.[ch])

lint: lint-layers lint-module lint-format lint-tidy lint-cppcheck lint-analyzer lint-gcc lint-clang ## every static check

# What the module for PostgreSQL takes from the programs is what host.list names.
lint-module: $(POSTGRESQL_MODULE) $(PROGRAMS)
	@echo "  LINT    the module's symbols"
	$(Q)test -z "$(POSTGRESQL_MODULE)" || tests/module_symbols $(POSTGRESQL_MODULE) $(POSTGRESQL_HOST) $(PROGRAMS)

lint-layers:
	@echo "  LINT    rooms and their doors"
	$(Q)tests/layers

lint-format:
	@echo "  LINT    clang-format"
	$(Q)clang-format --dry-run --Werror $(SOURCES)

# A file is looked at again when it or a header of it has changed. -k: a finding in one file hides none in another.
TIDY := $(patsubst %.c,$(BUILD)/tidy/%.ok,$(LIB_SRC) $(ROOMS_SRC))

lint-tidy:
	@echo "  LINT    clang-tidy"
	$(Q)$(MAKE) --no-print-directory -k -Otarget $(parallel) tidy-files

tidy-files: $(TIDY)

$(BUILD)/tidy/%.ok: %.c .clang-tidy Makefile tests/lint.mk
	@mkdir -p $(@D)
	@echo "  TIDY    $<"
	$(Q)$(CC) -std=c11 $(CPPFLAGS_) $(PKG_CFLAGS) -MM -MP -MT $@ -MF $(@:.ok=.d) $<
	$(Q)clang-tidy --quiet $< -- -std=c11 $(CPPFLAGS_) $(PKG_CFLAGS) 2> $(@:.ok=.log) || \
	    { grep -vE '^[0-9]+ warnings? generated' $(@:.ok=.log); exit 1; }
	@touch $@

lint-cppcheck:
	@echo "  LINT    cppcheck"
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
	    -DJSON_INTEGER_FORMAT='"lld"' $(subst -iquote ,-I,$(CPPFLAGS_)) lib daemon

# What these store through a pointer to void is a leak for the analyzer of gcc 12. LeakSanitizer sees them in the tests.
ifneq ($(findstring -fanalyzer,$(OPTIMIZE)),)
$(addprefix $(BUILD)/daemon/ctl/page_,data.o devices.o lists.o) \
    $(addprefix $(BUILD)/daemon/store/postgresql/,answers_select.o open.o views_text.o): private CFLAGS_ += -Wno-analyzer-malloc-leak
endif

lint-analyzer:
	@echo "  LINT    gcc -fanalyzer"
	$(Q)$(MAKE) --no-print-directory $(parallel) BUILD=$(BUILD)/analyzer CC=gcc OPTIMIZE='-O1 -fanalyzer' \
	    WERROR=-Werror all

# On Debian cc is gcc: what it compiles here is what the tests run, and is not compiled again for them.
BUILD_OF_GCC := $(BUILD)$(if $(filter cc gcc,$(CC)),,/gcc)

lint-gcc:
	@echo "  LINT    gcc without a warning"
	$(Q)$(MAKE) --no-print-directory $(parallel) BUILD=$(BUILD_OF_GCC) CC=gcc WERROR=-Werror all test-programs bench-programs

# What clang warns of does not depend on optimization, which would double the time.
lint-clang:
	@echo "  LINT    clang without a warning"
	$(Q)$(MAKE) --no-print-directory $(parallel) BUILD=$(BUILD)/clang CC=clang OPTIMIZE=-O0 HARDENING=-fPIE WERROR=-Werror all

.PHONY: lint lint-layers lint-module lint-format lint-tidy tidy-files lint-cppcheck lint-analyzer lint-gcc lint-clang
