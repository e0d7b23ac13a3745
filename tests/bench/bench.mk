# The programs of the benchmarks: a broker, the clients to compare with, and shims.

BENCH_BROKER_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/broker/*.c))
BENCH_PROGRAMS   := $(addprefix $(BUILD)/bench/,broker ceiling client client-shared load_readings parse relay sqlite_floor \
                      slow_sync.so alloc_count.so)

bench-programs: $(BENCH_PROGRAMS)

$(BUILD)/bench/broker: $(BENCH_BROKER_OBJ)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

$(BUILD)/bench/ceiling: $(BUILD)/tests/bench/ceiling.o $(BUILD)/tests/bench/client_options.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

# The same client twice: with Paho linked as in the daemon, but for the acknowledgements, which it
# writes one by one; and with Debian's shared library.
$(BUILD)/bench/client: $(BUILD)/tests/bench/client.o $(BUILD)/tests/bench/client_options.o $(PAHO_FLAGS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS_PAHO_BARE) -lssl -lcrypto -lsqlite3 -ljansson

$(BUILD)/bench/client-shared: $(BUILD)/tests/bench/client.o $(BUILD)/tests/bench/client_options.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lpaho-mqtt3as -lsqlite3 -ljansson

$(BUILD)/bench/parse: $(BUILD)/tests/bench/parse.o $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lm

$(BUILD)/bench/relay: $(BUILD)/tests/bench/relay.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^

$(BUILD)/bench/sqlite_floor: $(BUILD)/tests/bench/sqlite_floor.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lsqlite3

$(BUILD)/bench/load_readings: $(BUILD)/tests/bench/load_readings.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $^ -lsqlite3 -lm

$(BUILD)/bench/%.so: tests/bench/%_shim.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) -fPIC -shared -o $@ $< -ldl

.PHONY: bench-programs
