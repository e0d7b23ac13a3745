# Packages: how they are built, and how it is tested that they are good. tests/README.md says more.

DEPS_DEB       := build-essential debhelper dpkg-dev git
DEPS_PACKAGING := $(DEPS_DEB) blhc lintian rpm
DEPS_DEB_CHECK := $(DEPS_PACKAGING) autopkgtest faketime

PACKAGING_TEST  = FOXTRACKR_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider

deps-deb: ## install what building the Debian packages needs
	@tests/deps $(DEPS_BUILD) libcmocka-dev openssl python3 $(DEPS_DEB)

deb: deps-deb ## the Debian packages of the commit that is checked out, in $(BUILD)/deb
	$(Q)packaging/build-deb $(BUILD)/deb

# The short way, for `make check-all`: the unit tests ran already.
packages-quick: all
	$(Q)DEB_BUILD_OPTIONS=nocheck packaging/build-deb $(BUILD)/deb
	$(Q)$(PACKAGING_TEST) tests/packaging --ignore=tests/packaging/test_autopkgtest.py \
	    --deselect tests/packaging/test_spec.py::test_packages_build

deb-check: deps-check all ## everything about the packages: lintian, install and purge, same bytes, RPM, autopkgtest
	@tests/deps $(DEPS_DEB_CHECK)
	$(Q)$(MAKE) --no-print-directory deb-reproducible
	$(Q)$(PACKAGING_TEST) tests/packaging

deb-reproducible: deb ## build the Debian packages twice, in different surroundings, and compare the bytes
	@tests/deps faketime
	$(Q)tests/packaging/reproducible $(BUILD)/deb $(BUILD)/deb-again

.PHONY: deps-deb deb packages-quick deb-check deb-reproducible
