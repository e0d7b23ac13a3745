# The engine for PostgreSQL: a module of its own, so that nothing else needs libpq. It takes the functions of
# host.list from the program that loads it.

POSTGRESQL_SRC    := $(wildcard daemon/store/postgresql/*.c)
POSTGRESQL_OBJ    := $(POSTGRESQL_SRC:%.c=$(BUILD)/%.o) $(BUILD)/schema/postgresql_migrations.o
POSTGRESQL_HOST   := daemon/store/postgresql/host.list
POSTGRESQL_MODULE := $(if $(POSTGRESQL_SRC),$(if $(filter yes,$(POSTGRESQL)),$(BUILD)/foxtrackrd-postgresql.so))
LIBS_PG            = $(shell pkg-config --libs $(PACKAGES_PG))
LDFLAGS_HOST      := $(if $(POSTGRESQL_MODULE),-Wl$(comma)--dynamic-list=$(POSTGRESQL_HOST))

$(BUILD)/foxtrackrd $(BUILD)/foxtrackrctl: $(if $(POSTGRESQL_MODULE),$(POSTGRESQL_HOST))

$(POSTGRESQL_OBJ): private HARDENING := $(subst -fPIE,-fPIC,$(HARDENING))
# -z,defs is not for it: what host.list names is missing on purpose. `make lint-module` looks instead.
$(BUILD)/foxtrackrd-postgresql.so: $(POSTGRESQL_OBJ)
	@echo "  LD      $@"
	$(Q)$(CC) $(filter-out -fPIE -pie,$(LDFLAGS_)) $(LDFLAGS) -shared -o $@ $^ $(LIBS_PG)
