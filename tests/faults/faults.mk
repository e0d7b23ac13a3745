# The campaigns that try to break the promise, and what they need: shims, and a daemon with small lots.

SMALL_DAEMON := $(BUILD)/small/foxtrackrd
# Libraries that are preloaded into the daemon to make system calls fail.
SHIMS := $(patsubst tests/faults/%.c,$(BUILD)/tests/%.so,$(wildcard tests/faults/*_shim.c))

$(BUILD)/tests/%_shim.so: tests/faults/%_shim.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS_)) $(CFLAGS) \
	    -fPIC -shared -o $@ $< -ldl

$(SMALL_DAEMON): $(BUILD)/daemon/main.o $(OTHER_OBJ) $(SIZED:%=$(BUILD)/small/store/sqlite/%) $(LIBRARY) $(PAHO_FLAGS)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS_DAEMON)

FAULTS := $(wildcard $(addprefix tests/faults/,kills powerloss disk memory network malformed tls input operator migration))
N           ?= 5000
SEED        ?= 1
# Always the same: a check that fails must fail again. Other seeds are for the campaigns.
FAULTS_SEED ?= 12

# The daemon's choice is MQTT 5 at the fault broker. In these two MQTT 3.1.1 takes its turn, from start
# to start; `malformed` has packets of both versions.
BOTH_kills     := $(if $(filter shared,$(PAHO)),, --protocol alternate)
BOTH_powerloss := $(BOTH_kills)

fault-programs: $(SMALL_DAEMON) $(SHIMS)

faults: all fault-programs ## every campaign of tests/faults, each for a few minutes at most
	$(Q)$(PYTHON) -B -m pytest -q -p no:cacheprovider tests/faults
	@echo "  FAULTS  $(notdir $(FAULTS)), $(WAITERS) at a time"
	$(Q)printf '$(PYTHON) -B %s --build $(abspath $(BUILD)) --quick --seed $(FAULTS_SEED)\n' \
	    $(foreach campaign,$(FAULTS),'$(campaign)$(BOTH_$(notdir $(campaign)))') | tests/parallel $(WAITERS)

crash-campaign: all fault-programs ## kill -9 and power loss, N times each (N=5000 SEED=1)
	$(Q)$(PYTHON) -B tests/faults/kills --build $(abspath $(BUILD)) --count $(N) --seed $(SEED)$(BOTH_kills)
	$(Q)$(PYTHON) -B tests/faults/powerloss --build $(abspath $(BUILD)) --count $(N) --seed $(SEED)$(BOTH_powerloss)

# For `make check`: some kills, power cuts and broken connections, and a full disk.
FAULTS_SMOKE := 'kills --count 40$(BOTH_kills)' 'powerloss --count 40$(BOTH_powerloss)' 'network --quick --only cut' \
                'disk --quick --only full'

faults-smoke: all fault-programs ## a few scenarios of four campaigns: less than a minute
	@echo "  FAULTS  $(FAULTS_SMOKE)"
	$(Q)printf '$(PYTHON) -B tests/faults/%s --build $(abspath $(BUILD)) --seed $(FAULTS_SEED)\n' \
	    $(FAULTS_SMOKE) | tests/parallel $(WAITERS)

.PHONY: fault-programs faults faults-smoke crash-campaign
