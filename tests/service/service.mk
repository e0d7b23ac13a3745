# The packages on a real systemd, which tests/service/run boots in a container as root.

service-test: deb service-run ## the packages on a real systemd: watchdog, kill -9, upgrade, purge and more

# With the packages that are there.
service-run: all $(FLEET) $(BUILD)/bench/slow_sync.so
	@echo "  SERVICE $(BUILD)/deb"
	$(Q)tests/service/run $(BUILD) $(BUILD)/deb

.PHONY: service-test service-run
