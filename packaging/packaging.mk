# Packages: how they are built, and how it is tested that they are good.

DEPS_DEB := build-essential debhelper dpkg-dev git

deps-deb: ## install what building the Debian packages needs
	@tests/deps $(DEPS_BUILD) libcmocka-dev openssl $(DEPS_DEB)

deb: ## the Debian packages of the commit that is checked out, in $(BUILD)/deb
	@packaging/build-deb $(BUILD)/deb

.PHONY: deps-deb deb
