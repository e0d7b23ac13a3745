/* Collects the findings of `check` and `verify` and prints them; see ctl/findings_internal.h. */
#include "ctl/findings_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/escape.h"
#include "base/json_text.h"
#include "ctl/say_internal.h"

static const char GOOD[] = "good";
static const char WARNING[] = "warn";
static const char BAD[] = "BAD";

void ctl_findings_begin(struct ctl_findings *findings, bool json)
{
    findings->json = json;
    findings->good = true;
    findings->checks = json ? json_array() : NULL;
}

__attribute__((format(printf, 5, 0))) static void add(struct ctl_findings *findings,
                                                      const char *check, const char *verdict,
                                                      bool good, const char *detail,
                                                      va_list arguments)
{
    char text[CTL_DETAIL_SIZE];
    char escaped[2 * CTL_DETAIL_SIZE];

    vsnprintf(text, sizeof(text), detail, arguments);
    escape_line(escaped, sizeof(escaped), text);
    if (findings->json) {
        json_array_append_new(findings->checks,
                              json_pack("{s:s, s:b, s:b, s:o}", "check", check, "good", good,
                                        "warning", verdict == WARNING, "detail", json_text(text)));
    } else {
        printf("%-14s %-5s %s\n", check, verdict, escaped);
        fflush(stdout); /* the next check may take minutes */
    }
}

void ctl_finding(struct ctl_findings *findings, const char *check, bool good, const char *detail,
                 ...)
{
    va_list arguments;

    findings->good = findings->good && good;
    va_start(arguments, detail);
    add(findings, check, good ? GOOD : BAD, good, detail, arguments);
    va_end(arguments);
}

void ctl_finding_warning(struct ctl_findings *findings, const char *check, const char *detail, ...)
{
    va_list arguments;

    va_start(arguments, detail);
    add(findings, check, WARNING, true, detail, arguments);
    va_end(arguments);
}

int ctl_findings_end(struct ctl_findings *findings)
{
    if (findings->json) {
        json_t *root = json_pack("{s:b, s:o}", "good", findings->good, "checks", findings->checks);

        ctl_say_json(root, JSON_INDENT(2));
        json_decref(root);
        findings->checks = NULL;
    }
    return findings->good ? EX_OK : 1;
}
