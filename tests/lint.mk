# The static checks.

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

.PHONY: lint lint-layers lint-format lint-tidy lint-cppcheck lint-analyzer lint-compilers
