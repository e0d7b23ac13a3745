# Fuzzing: libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer, so clang alone.
#     make fuzz T=message SECONDS=3600 [SEED=1]     one target, or all
#     make fuzz-quick                               all of them, a minute each, two at a time
# `make check-all` gives each 20 seconds, to see that they work and that nothing shallow has come in; what
# is deep takes hours, and a corpus that is kept.

FUZZ_SRC := $(wildcard tests/fuzz/*.c)
FUZZ_RUN  = tests/fuzz/run --build $(BUILD) --seconds $(SECONDS) $(FUZZ_SEED)
FUZZ_SEED = $(if $(filter file default undefined,$(origin SEED)),,--seed $(SEED))
T        ?= all
SECONDS  ?= 60

fuzz: fuzz-programs ## fuzz T=NAME (or all) for SECONDS=60 each; needs clang
	$(Q)$(FUZZ_RUN) $(T)

fuzz-quick: fuzz-programs ## fuzz every target for SECONDS=60
	$(Q)$(FUZZ_RUN)

# Instrumented for libFuzzer, in a directory of their own, by a make of their own. Paho shared: nothing
# here uses it, and the lean link wants mqtt/client.c. They look at the library from inside: a warning is an error.
fuzz-programs: ## build the fuzz targets, and collect their seeds
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang PAHO=shared WERROR=-Werror \
	    SANITIZE=address,undefined,fuzzer-no-link fuzz-link
	$(Q)tests/fuzz/seeds $(BUILD)/fuzz/seeds

fuzz-link: $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/targets/%)

# From an archive, so that each has the code that it needs and no other to count.
$(BUILD)/libdaemon.a: $(DAEMON_OBJ)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/targets/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libdaemon.a $(LIBRARY) $(PAHO_FLAGS)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS_DAEMON)

# Secrets are read by open(), and the input names the path.
$(BUILD)/targets/config: LDFLAGS_ += -Wl,--wrap=open

.PHONY: fuzz fuzz-quick fuzz-programs fuzz-link
