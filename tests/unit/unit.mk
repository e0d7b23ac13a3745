# The unit tests: one binary a module, linked with everything so that each can use what it needs.

UNIT_SRC   := $(filter-out $(if $(POSTGRESQL_MODULE),,tests/unit/test_pg_%),$(wildcard tests/unit/test_*.c))
UNIT_TESTS := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)

# With lots of the inbox so small that a test fills them, and opened by what a slow machine brings, too: for
# the campaigns, and for unit tests.
SMALL_LOTS := -DINBOX_SCALE=1024 -DINBOX_OPEN_WITHIN_MS=10000
TINY_LOTS  := -DINBOX_SCALE=49152
UNIT_SMALL := $(BUILD)/tests/test_inbox_sizes
UNIT_TINY  := $(addprefix $(BUILD)/tests/test_inbox_,scratch faults_tiny)
UNIT_TESTS := $(sort $(UNIT_TESTS) $(UNIT_TINY))
SIZED      := inbox.o inbox_load.o inbox_scratch.o inbox_sizes.o inbox_sort.o
OTHER_OBJ  := $(filter-out $(SIZED:%=$(BUILD)/daemon/store/sqlite/%),$(DAEMON_OBJ))

$(BUILD)/small/%.o: CPPFLAGS_ += $(SMALL_LOTS)
$(BUILD)/tiny/%.o: CPPFLAGS_ += $(TINY_LOTS)
$(BUILD)/small/%.o: daemon/%.c
	$(compile)
$(BUILD)/tiny/%.o: daemon/%.c
	$(compile)

define link_test
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $$(pkg-config --libs cmocka) $(LIBS_OWN) $(LIBS_DAEMON)
endef

$(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
	$(link_test)

# Of the module for PostgreSQL, whose objects these are linked with.
$(BUILD)/tests/test_pg_%: $(BUILD)/tests/unit/test_pg_%.o $(POSTGRESQL_OBJ) $(DAEMON_OBJ) $(LIBRARY) $(PAHO_FLAGS)
	$(link_test)
$(filter $(BUILD)/tests/test_pg_%,$(UNIT_TESTS)): private LIBS_OWN = $(LIBS_PG)

# The check alone: the tests stand in for Paho.
UNIT_CHECK     := $(addprefix $(BUILD)/tests/test_paho_,check shorten)
UNIT_CHECK_OBJ := $(addprefix $(BUILD)/daemon/,base/digest.o $(addprefix mqtt/paho/,check.o shorten.o cut.o packet.o properties.o exchange.o))
$(BUILD)/tests/test_paho_check: $(BUILD)/tests/unit/paho_stand_in.o
$(UNIT_CHECK): $(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(UNIT_CHECK_OBJ)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $$(pkg-config --libs cmocka libcrypto)

# Tests that are built with other sizes of the inbox, which only these objects depend on.
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

# These have an engine of the store in memory.
MEMORY_ENGINE := $(addprefix $(BUILD)/tests/unit/,memory_engine.o memory_nothing.o memory_records.o)
$(addprefix $(BUILD)/tests/test_,writer_engine store_sessions): $(MEMORY_ENGINE)

# These have it too, another client of MQTT with a broker behind it, and clocks in their hands.
UNIT_SESSION := $(filter $(BUILD)/tests/test_session%,$(UNIT_TESTS))
SESSION_OBJ  := $(patsubst %,$(BUILD)/tests/unit/%.o,session_fixture session_protocol fake_mqtt fake_script fake_link \
                fake_broker shifted_clock) \
                $(MEMORY_ENGINE) $(filter-out $(BUILD)/daemon/mqtt/client%,$(DAEMON_OBJ))
$(UNIT_SESSION): $(BUILD)/tests/test_session%: $(BUILD)/tests/unit/test_session%.o $(SESSION_OBJ) $(LIBRARY) $(PAHO_FLAGS)
	$(link_test)
$(UNIT_SESSION): private LDFLAGS_ += \
    -Wl,--wrap=clock_gettime,--wrap=pthread_cond_timedwait,--wrap=wall_now_ms

# This one is the proxy.
$(BUILD)/tests/test_session_proxy: private LDFLAGS_ += -Wl,--wrap=proxy_open

# Of foxtrackrctl.
$(BUILD)/tests/test_ctl_moment: $(BUILD)/daemon/ctl/moment.o
$(BUILD)/tests/test_ctl_export_text: $(BUILD)/daemon/ctl/export_text.o
$(BUILD)/tests/test_page_lists: $(BUILD)/daemon/ctl/page_lists.o
$(BUILD)/tests/test_plot: $(addprefix $(BUILD)/daemon/ctl/plot_,draw.o series.o time.o)
$(BUILD)/tests/test_serve_check: $(addprefix $(BUILD)/daemon/ctl/serve_,check.o listen.o)
UNIT_SERVE := $(addprefix $(BUILD)/tests/test_serve_,clients http)
$(UNIT_SERVE): $(addprefix $(BUILD)/daemon/ctl/serve_,check.o http.o listen.o)
$(UNIT_SERVE): private LIBS_OWN = $(LIBS_CTL)

# This one has its addresses alone.
$(BUILD)/tests/test_dial_race: $(BUILD)/tests/unit/fake_broker.o

# This one counts how many messages a search has looked at, and says which packet was read last.
$(BUILD)/tests/test_paho_shortcuts: private LDFLAGS_ += \
    -Wl,--wrap=messageIDCompare,--wrap=paho_check_reads_pubrel_of_5,--wrap=MQTTProtocol_removePublication

# This one has Paho's callbacks at hand, and counts its clients.
$(BUILD)/tests/test_paho: private LDFLAGS_ += -Wl,--wrap=MQTTAsync_createWithOptions,--wrap=MQTTAsync_setCallbacks,--wrap=MQTTAsync_destroy,--wrap=paho_check_restore

# These have a broker, and do not let Paho's receive thread wait for long; the second holds it in a callback.
$(addprefix $(BUILD)/tests/test_paho_,accept 5): $(BUILD)/tests/unit/step_broker.o
$(BUILD)/tests/test_paho_accept: private LDFLAGS_ += -Wl,--wrap=poll
$(BUILD)/tests/test_paho_5: private LDFLAGS_ += -Wl,--wrap=poll,--wrap=MQTTAsync_setDisconnected

# This one has the limit for answers in its hands.
$(BUILD)/tests/test_paho_large: private LDFLAGS_ += -Wl,--wrap=pthread_cond_timedwait

# This one makes the library's allocations fail, one after the other.
$(BUILD)/tests/test_library: private LDFLAGS_ += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

# These have the clocks in their hands.
$(addprefix $(BUILD)/tests/test_writer_,attention rejudge survey): private LDFLAGS_ += \
    -Wl,--wrap=clock_gettime,--wrap=adjtimex

# This one lets the first reads of a database fail.
$(BUILD)/tests/test_store_first_read: private LDFLAGS_ += -Wl,--wrap=sqlite3_step,--wrap=sqlite3_extended_errcode

# This one commits between two steps.
$(BUILD)/tests/test_answers_copies: private LDFLAGS_ += -Wl,--wrap=sqlite3_exec

# And these what the inbox needs, or asks for.
$(BUILD)/tests/test_inbox_faults $(BUILD)/tests/test_inbox_faults_tiny: private LDFLAGS_ += \
    -Wl,--wrap=calloc,--wrap=sqlite3_step,--wrap=sqlite3_extended_errcode
$(UNIT_SMALL): private LDFLAGS_ += -Wl,--wrap=store_inbox_newest_device,--wrap=store_used_bytes,--wrap=store_inbox_scratch
$(BUILD)/tests/test_inbox_scratch: private LDFLAGS_ += \
    -Wl,$(subst $() ,$(comma),$(foreach call,open pread pwrite,--wrap=$(call) --wrap=$(call)64))

# The longest begin first. A sanitizer triples what some take: it has the tests of the inbox with smaller lots, and those of
# roll-ups that are not random.
UNIT_LONG   := $(addprefix $(BUILD)/tests/test_,inbox_scratch inbox_lots inbox_faults store_faults rollup inbox_faults_tiny pg_engine \
               pg_upkeep inbox_sizes paho)
UNIT_LEAVES := $(if $(SANITIZE),$(addprefix $(BUILD)/tests/test_,inbox_lots inbox_faults rollup))
UNIT_RUN     = $(filter-out $(UNIT_LEAVES),$(filter $(UNIT_TESTS),$(UNIT_LONG)) $(filter-out $(UNIT_LONG),$(UNIT_TESTS)))

unit: $(UNIT_TESTS) ## the unit tests
	$(Q)printf '%s\n' $(UNIT_RUN) | FOXTRACKR_ROOT=$(CURDIR) tests/parallel $(WAITERS)

.PHONY: unit
