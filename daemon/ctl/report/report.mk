# The report's page: the files of this directory, and dygraphs for the charts. The library comes from the build
# machine (Debian: libjs-dygraphs), is put into foxtrackrctl with its licence, and from there into each page.
# Without it the program has no report and says so; with CI=true in the environment that is an error.

DYGRAPHS         ?= /usr/share/javascript/dygraphs
DYGRAPHS_LICENCE ?= /usr/share/doc/libjs-dygraphs/copyright

REPORT_DIR     := daemon/ctl/report
# One after the other: they share a scope.
REPORT_SCRIPTS := $(patsubst %,$(REPORT_DIR)/%.js,data text overview fleet heat device page)
REPORT_FILES   := $(BUILD)/$(REPORT_DIR)

# A build directory follows when the library comes, goes or changes.
$(BUILD)/report.library: FORCE
	@mkdir -p $(@D)
	$(Q)cat $(DYGRAPHS)/dygraph.min.js $(DYGRAPHS)/dygraph.min.css $(DYGRAPHS_LICENCE) 2>/dev/null | cksum > $@.$$$$; \
	if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi

# The comment about a source map would make a browser's tools look for a file that is not there.
$(REPORT_FILES)/script.js: $(REPORT_SCRIPTS) $(BUILD)/report.library $(REPORT_DIR)/report.mk
	@mkdir -p $(@D)
	$(Q)if [ -r $(DYGRAPHS)/dygraph.min.js ] && [ -r $(DYGRAPHS)/dygraph.min.css ] && [ -r $(DYGRAPHS_LICENCE) ]; then \
	    echo "  REPORT  $(DYGRAPHS)"; \
	    { sed '/^\/\/# sourceMappingURL=/d' $(DYGRAPHS)/dygraph.min.js && cat $(REPORT_SCRIPTS); } > $@ || exit 1; \
	    ! grep -qi '</script' $@ || { echo "  REPORT  a script would end its own element"; rm $@; exit 1; }; \
	else \
	    echo "  REPORT  dygraphs (Debian: libjs-dygraphs) is not there: foxtrackrctl gets no report"; \
	    case "$$CI" in true|True|TRUE|1|yes) echo "  REPORT  with CI=$$CI that is an error"; exit 1;; esac; \
	    : > $@; \
	fi

$(REPORT_FILES)/style.css: $(REPORT_DIR)/page.css $(BUILD)/report.library $(REPORT_DIR)/report.mk
	@mkdir -p $(@D)
	$(Q){ cat $(DYGRAPHS)/dygraph.min.css 2>/dev/null | sed '/sourceMappingURL=/d'; cat $(REPORT_DIR)/page.css; } > $@

$(REPORT_FILES)/licence.txt: $(BUILD)/report.library $(REPORT_DIR)/report.mk
	@mkdir -p $(@D)
	$(Q)cat $(DYGRAPHS_LICENCE) > $@ 2>/dev/null || : > $@

# Each file becomes an array of bytes with a NUL behind the last.
$(REPORT_FILES)/files.c: $(REPORT_DIR)/page.html $(REPORT_FILES)/style.css $(REPORT_FILES)/script.js \
    $(REPORT_FILES)/licence.txt
	@echo "  GEN     $@"
	$(Q){ echo '#include "ctl/page_files_internal.h"'; \
	    for pair in html:$(REPORT_DIR)/page.html style:$(REPORT_FILES)/style.css script:$(REPORT_FILES)/script.js \
	        licence:$(REPORT_FILES)/licence.txt; do \
	        echo "static const char $${pair%%:*}[] = {"; \
	        od -An -v -td1 "$${pair#*:}" | sed 's/\(-\{0,1\}[0-9]\{1,\}\)/\1,/g' || exit 1; \
	        echo "0};"; \
	        echo "const struct page_file page_$${pair%%:*} = {$${pair%%:*}, sizeof($${pair%%:*}) - 1};"; \
	    done; } > $@

$(REPORT_FILES)/files.o: $(REPORT_FILES)/files.c
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) -c -o $@ $<
