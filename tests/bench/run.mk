# The benchmark: see tests/bench/README.md. Nothing of it is built or installed with the daemon.

DEPS_BENCH := mosquitto mosquitto-clients openssl python3-paho-mqtt python3-pytest strace
COUNT      ?= 10000000
BENCH       = $(PYTHON) -B tests/bench/run --build $(BUILD)

bench-deps:
	@tests/deps $(DEPS_BUILD) $(DEPS_BENCH)

bench: bench-deps all bench-programs ## every comparison in one run: table, CSV and SVG (15 minutes)
	$(Q)$(BENCH)

bench-quick: bench-deps all bench-programs ## does the benchmark work? its broker, each contestant once, the parser's ratios
	$(Q)FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider tests/bench
	$(Q)$(BENCH) --quick
	$(Q)$(PYTHON) -B tests/bench/postgresql --build $(BUILD) --quick
	$(Q)$(BUILD)/bench/parse --messages 400000 --least-ratio 0.8
	$(Q)$(PYTHON) -B tests/bench/answers --build $(BUILD) --count 1000000 --devices 200 --rounds 3 --least-ratio 3

bench-parse: bench-programs ## the library alone: bodies in plain ASCII, UTF-8, with escapes and arrays
	$(Q)$(BUILD)/bench/parse --messages 4000000 --least-ratio 0.8

bench-backlog: bench-deps all bench-programs ## drain COUNT=10000000 messages: rate, memory, disk
	$(Q)$(PYTHON) -B tests/bench/backlog --build $(BUILD) --count $(COUNT)

# The broker: MOSQUITTO=program, 2.0.13 or newer; by default Debian 13's, in a tree made by debootstrap.
bench-real: bench-deps all bench-programs ## 200,000 messages on a real broker, on loopback and over 30 ms (root, debootstrap)
	$(Q)$(if $(MOSQUITTO),,tests/deps debootstrap &&) $(PYTHON) -B tests/bench/real_broker \
	    --build $(BUILD) $(if $(MOSQUITTO),--mosquitto $(MOSQUITTO))

bench-postgresql: bench-deps all bench-programs ## both engines, a textbook client, 8 daemons, COUNT=10000000 messages into PostgreSQL
	$(Q)$(PYTHON) -B tests/bench/postgresql --build $(BUILD) --count $(COUNT)

bench-retention: all $(FLEET) ## what deleting a million old rows costs those who wait (a minute)
	$(Q)$(PYTHON) -B tests/bench/retention --build $(BUILD)

# COUNT=1000000000 needs 40 GB below BUILD, and an hour.
bench-answers: all bench-programs ## how long analysts wait with COUNT=10000000 readings
	$(Q)$(PYTHON) -B tests/bench/answers --build $(BUILD) --count $(COUNT)

.PHONY: bench-postgresql bench-answers bench-retention bench-parse bench bench-deps bench-quick bench-backlog bench-real
