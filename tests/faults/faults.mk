# The campaigns that try to break the promise, and what they need: shims, and a daemon with small lots. The module of
# PostgreSQL beside that one copies readings into their tables early, and sends few as arrays.

SMALL_DAEMON := $(BUILD)/small/foxtrackrd
SIZED_PG     := batch_direct.o batch_few.o
SMALL_PG_OBJ := $(SIZED_PG:%=$(BUILD)/small/store/postgresql/%)
SMALL_MODULE := $(if $(POSTGRESQL_MODULE),$(BUILD)/small/foxtrackrd-postgresql.so)
# Libraries that are preloaded into the daemon to make system calls fail.
SHIMS := $(patsubst tests/faults/%.c,$(BUILD)/tests/%.so,$(wildcard tests/faults/*_shim.c))

$(BUILD)/tests/%_shim.so: tests/faults/%_shim.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS_)) $(CFLAGS) \
	    -fPIC -shared -o $@ $< -ldl

$(SMALL_DAEMON): $(BUILD)/daemon/main.o $(OTHER_OBJ) $(SIZED:%=$(BUILD)/small/store/sqlite/%) $(LIBRARY) $(PAHO_FLAGS)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS_HOST) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS_DAEMON)

$(SMALL_PG_OBJ): private CPPFLAGS_ += -DNEW_ROWS=1 -DFEW_ROWS=3
$(SMALL_PG_OBJ): private HARDENING := $(subst -fPIE,-fPIC,$(HARDENING))

$(BUILD)/small/foxtrackrd-postgresql.so: $(SMALL_PG_OBJ) $(filter-out $(SIZED_PG:%=$(BUILD)/daemon/store/postgresql/%),$(POSTGRESQL_OBJ))
	@echo "  LD      $@"
	$(Q)$(CC) $(filter-out -fPIE -pie,$(LDFLAGS_)) $(LDFLAGS) -shared -o $@ $^ $(LIBS_PG)

# The longest first.
FAULTS := $(wildcard $(addprefix tests/faults/,kills takeover postgresql malformed disk operator memory network \
                powerloss tls input migration))
N           ?= 5000
SEED        ?= 1
# Always the same: a check that fails must fail again. Other seeds are for the campaigns.
FAULTS_SEED ?= 12

# The daemon's choice is MQTT 5 at the fault broker. MQTT 3.1.1 takes its turn: in `kills`, `powerloss`, `postgresql`
# and `takeover` from start to start, in the others from scenario to scenario. `malformed` has packets of both versions,
# and `migration` has no broker.
ALTERNATE   := $(if $(filter shared,$(PAHO)),, --protocol alternate)
TURNS       := $(if $(filter shared,$(PAHO)),, --protocol turns)
protocol_of  = $(if $(filter kills powerloss postgresql takeover,$(1)),$(ALTERNATE),$(if $(filter-out malformed migration,$(1)),$(TURNS)))

fault-programs: $(SMALL_DAEMON) $(SMALL_MODULE) $(SHIMS)

faults: campaigns ## every campaign of tests/faults, each for a few minutes at most, and the tests of their broker
	$(Q)$(PYTHON) -B -m pytest -q -p no:cacheprovider tests/faults

campaigns: all fault-programs
	@echo "  FAULTS  $(notdir $(FAULTS)), $(WAITERS) at a time"
	$(Q)printf '$(PYTHON) -B %s --build $(abspath $(BUILD)) --quick --seed $(FAULTS_SEED)\n' \
	    $(foreach campaign,$(FAULTS),'$(campaign)$(call protocol_of,$(notdir $(campaign)))') | tests/parallel $(WAITERS)

crash-campaign: all fault-programs ## kill -9 and power loss, N times each (N=5000 SEED=1)
	$(Q)$(PYTHON) -B tests/faults/kills --build $(abspath $(BUILD)) --count $(N) --seed $(SEED)$(ALTERNATE)
	$(Q)$(PYTHON) -B tests/faults/powerloss --build $(abspath $(BUILD)) --count $(N) --seed $(SEED)$(ALTERNATE)

# For `make check`: some kills, power cuts and broken connections, and a full disk.
FAULTS_SMOKE := 'kills --count 40$(ALTERNATE)' 'powerloss --count 40$(ALTERNATE)' \
                'network --quick --only cut$(TURNS)' 'disk --quick --only full$(TURNS)'

faults-smoke: all fault-programs ## a few scenarios of four campaigns: less than a minute
	@echo "  FAULTS  $(FAULTS_SMOKE)"
	$(Q)printf '$(PYTHON) -B tests/faults/%s --build $(abspath $(BUILD)) --seed $(FAULTS_SEED)\n' \
	    $(FAULTS_SMOKE) | tests/parallel $(WAITERS)

.PHONY: fault-programs faults campaigns faults-smoke crash-campaign
