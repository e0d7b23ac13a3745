# Installation. DESTDIR, PREFIX and the other directories are in the Makefile.

MAN_PAGES := $(wildcard daemon/*.[58] lib/*.3)
DATASETTE := $(BUILD)/datasette.json
EXAMPLES  := packaging/prometheus/foxtrackrd.rules.yml $(wildcard packaging/grafana/*.json) \
             $(wildcard packaging/examples/*.json packaging/examples/*.conf) $(DATASETTE)
# The schema of PostgreSQL, and what an administrator runs by hand.
POSTGRESQL_SQL := $(if $(POSTGRESQL_MODULE),$(sort $(wildcard schema/postgresql/*.sql)))
DOCUMENTS := README.md schema.md recipes.md postgresql/README.md
CONF      := $(SYSCONFDIR)/foxtrackrd/foxtrackrd.conf
LOGROTATE := $(SYSCONFDIR)/logrotate.d/foxtrackrd
# Lines of the unit that only systemd 254 and newer know; an older one would complain about them.
SINCE_254  = $(shell pkg-config --atleast-version=254 libsystemd && echo 's|^@254@||' || echo '/^@254@/d; /systemd 254/d')

# What each table and column means, for Datasette.
$(DATASETTE): packaging/datasette/datasette.awk schema/README.md
	@mkdir -p $(@D)
	$(Q)awk -f $^ > $@

install: all $(DATASETTE) ## install below DESTDIR and PREFIX; an existing configuration stays as it is
	install -D -m 0755 $(BUILD)/foxtrackrd $(DESTDIR)$(SBINDIR)/foxtrackrd
	install -D -m 0755 $(BUILD)/foxtrackrctl $(DESTDIR)$(SBINDIR)/foxtrackrctl
	$(if $(POSTGRESQL_MODULE),install -D -m 0644 $(POSTGRESQL_MODULE) $(DESTDIR)$(MODULEDIR)/foxtrackrd-postgresql.so)
	for file in $(POSTGRESQL_SQL); do \
	    install -D -m 0644 $$file $(DESTDIR)$(DOCDIR)/postgresql/$${file##*/} || exit 1; \
	done
	install -D -m 0644 $(LIBRARY) $(DESTDIR)$(LIBDIR)/libfoxtrackr.a
	install -D -m 0644 lib/foxtrackr.h $(DESTDIR)$(INCLUDEDIR)/foxtrackr.h
	install -D -m 0644 $(BUILD)/foxtrackr.pc $(DESTDIR)$(LIBDIR)/pkgconfig/foxtrackr.pc
	for page in $(MAN_PAGES); do \
	    install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; \
	done
	install -d $(DESTDIR)$(DOCDIR)
	sed -f packaging/installed.sed README.md > $(DESTDIR)$(DOCDIR)/README.md
	sed -f packaging/installed.sed schema/README.md > $(DESTDIR)$(DOCDIR)/schema.md
	sed -f packaging/installed.sed schema/RECIPES.md > $(DESTDIR)$(DOCDIR)/recipes.md
	install -d $(DESTDIR)$(DOCDIR)/postgresql
	sed -f packaging/installed.sed schema/postgresql/README.md > $(DESTDIR)$(DOCDIR)/postgresql/README.md
	chmod 0644 $(DOCUMENTS:%=$(DESTDIR)$(DOCDIR)/%)
	for file in $(EXAMPLES); do \
	    install -D -m 0644 $$file $(DESTDIR)$(DOCDIR)/examples/$${file##*/} || exit 1; \
	done
	install -d $(DESTDIR)$(SYSTEMDDIR)
	sed -e 's|@SBINDIR@|$(SBINDIR)|' -e '$(SINCE_254)' systemd/foxtrackrd.service \
	    > $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service
	sed -f systemd/instance.sed $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service \
	    > $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd@.service
	chmod 0644 $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd@.service
	install -D -m 0644 systemd/foxtrackrd.sysusers $(DESTDIR)$(SYSUSERSDIR)/foxtrackrd.conf
	install -D -m 0644 systemd/foxtrackrd.tmpfiles $(DESTDIR)$(TMPFILESDIR)/foxtrackrd.conf
	install -D -m 0644 packaging/foxtrackrd.logrotate $(DESTDIR)$(LOGROTATE)
	install -D -m 0644 packaging/completion/foxtrackrctl.bash $(DESTDIR)$(COMPLETIONDIR)/foxtrackrctl
	test -e $(DESTDIR)$(CONF) || install -D -m 0640 foxtrackrd.conf $(DESTDIR)$(CONF)

uninstall: ## remove what install put there, but not the configuration
	rm -f $(DESTDIR)$(SBINDIR)/foxtrackrd $(DESTDIR)$(SBINDIR)/foxtrackrctl \
	    $(DESTDIR)$(MODULEDIR)/foxtrackrd-postgresql.so $(DESTDIR)$(LIBDIR)/libfoxtrackr.a $(DESTDIR)$(INCLUDEDIR)/foxtrackr.h \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/foxtrackr.pc $(DOCUMENTS:%=$(DESTDIR)$(DOCDIR)/%) \
	    $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd.service \
	    $(DESTDIR)$(SYSTEMDDIR)/foxtrackrd@.service $(DESTDIR)$(SYSUSERSDIR)/foxtrackrd.conf \
	    $(DESTDIR)$(TMPFILESDIR)/foxtrackrd.conf $(DESTDIR)$(LOGROTATE) \
	    $(DESTDIR)$(COMPLETIONDIR)/foxtrackrctl
	for page in $(MAN_PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	for file in $(EXAMPLES); do rm -f $(DESTDIR)$(DOCDIR)/examples/$${file##*/}; done
	for file in $(POSTGRESQL_SQL); do rm -f $(DESTDIR)$(DOCDIR)/postgresql/$${file##*/}; done
	rm -f -d $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR)/postgresql $(DESTDIR)$(DOCDIR) $(DESTDIR)$(MODULEDIR)

.PHONY: install uninstall
