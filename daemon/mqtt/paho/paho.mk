# How Paho is linked.
#   PAHO=lean     the default: a private copy of Debian's static archive, in which Paho calls the
#                 adaptations of this directory (redirections); where that fails, the shared library.
#                 With CI=true in the environment a failure is an error: tests of a program that
#                 quietly has nothing adapted prove little.
#   PAHO=shared   Debian's shared library, as it is.
# `make check-shared` tests the second one.

PAHO        ?= lean
PAHO_DIR    := daemon/mqtt/paho
PAHO_FLAGS  := $(BUILD)/paho.flags
PAHO_COPY   := $(BUILD)/libpaho-adapted.a
PAHO_STATIC  = $(shell $(CC) -print-file-name=libpaho-mqtt3as.a)
# As the library names itself; Debian's 1.3.12-1 says 1.3.11.
PAHO_PROVED := 1.3.11 1.3.14
# The adaptations are linked only with the copy. The others are part of every program.
PAHO_OBJ    := $(patsubst %,$(BUILD)/$(PAHO_DIR)/%.o,lean cork ahead shortcuts check shorten)
PAHO_PROBE  := $(BUILD)/paho.probe
PAHO_PROBE_OBJ := $(PAHO_OBJ) $(patsubst %,$(BUILD)/$(PAHO_DIR)/%.o,packet exchange properties cut plugin put probe probe_broker) $(BUILD)/daemon/base/digest.o
PAHO_ONLY   := $(patsubst $(BUILD)/%.o,%.c,$(PAHO_OBJ)) $(addprefix $(PAHO_DIR)/,probe.c probe_broker.c)

LIBS_PAHO    = $$(cat $(PAHO_FLAGS))
# Without the debug heap and with nothing else adapted, where the archive is there.
LIBS_PAHO_BARE = $$(sed 's|.*$(PAHO_COPY)|$(BUILD)/$(PAHO_DIR)/lean.o $(PAHO_STATIC)|' $(PAHO_FLAGS))

ifeq ($(filter lean shared,$(PAHO)),)
$(error PAHO is lean or shared, not '$(PAHO)')
endif

# A build directory follows when PAHO is changed.
$(BUILD)/paho.asked: FORCE
	@mkdir -p $(@D)
	$(Q)echo '$(PAHO)' | cmp -s - $@ || echo '$(PAHO)' > $@

paho_adapt = AR=$(AR) $(PAHO_DIR)/adapt $(PAHO_STATIC) $(PAHO_DIR)/redirections $(PAHO_COPY) && \
    $(CC) $(LDFLAGS_) $(LDFLAGS) -o $(PAHO_PROBE) $(PAHO_PROBE_OBJ) $(PAHO_COPY) -lssl -lcrypto && \
    $(PAHO_PROBE) $(PAHO_PROVED)

# Decides what to link by trying: adapts the library, links the probe with the real flags, and runs it.
$(PAHO_FLAGS): $(PAHO_PROBE_OBJ) $(addprefix $(PAHO_DIR)/,adapt redirections paho.mk) $(BUILD)/paho.asked Makefile
	$(Q)if [ $(PAHO) = shared ]; then \
	    echo "  PAHO    the shared library, as PAHO=shared asks"; \
	    echo "-lpaho-mqtt3as" > $@; \
	elif { $(paho_adapt); } 2> $@.log; then \
	    echo "  PAHO    $(PAHO_STATIC), adapted"; \
	    echo "$(PAHO_OBJ) $(PAHO_COPY)" > $@; \
	else \
	    echo "  PAHO    $(PAHO_STATIC) cannot be adapted:"; \
	    tail -n 5 $@.log | sed 's/^/          /'; \
	    case "$$CI" in true|True|TRUE|1|yes) \
	        echo "  PAHO    with CI=$$CI that is an error; PAHO=shared asks for the shared library"; \
	        exit 1;; \
	    esac; \
	    echo "  PAHO    the shared library instead, slower, and no packet is checked before it is parsed"; \
	    echo "-lpaho-mqtt3as" > $@; \
	fi; rm -f $(PAHO_PROBE)
