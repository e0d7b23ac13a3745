/*
 * Puts the report's page together: the template page.html with the style, the script and the data
 * in the places of its @MARKS@.
 *
 * The page's Content-Security-Policy allows this very script and this very style, by their SHA-256,
 * and nothing else: no other script, none from a text of the database, nothing from a network. The
 * data is a script element of type application/json, which no browser runs.
 */
#include "ctl/page_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/digest.h"
#include "ctl/page_data_internal.h"
#include "ctl/page_files_internal.h"
#include "ctl/work_internal.h"

#define HASH_SIZE 48 /* of a digest in base 64: 44 characters */
#define NO_MEMORY "out of memory"

bool ctl_page_available(void)
{
    return page_script.length > 0;
}

void ctl_page_free(struct ctl_page *page)
{
    free(page->html);
    *page = (struct ctl_page){0};
}

static int hash(const struct page_file *file, char out[HASH_SIZE])
{
    uint8_t digest[DIGEST_SIZE];

    if (digest_sha256(file->bytes, file->length, "", 0, digest) != 0) {
        return -1;
    }
    EVP_EncodeBlock((unsigned char *)out, digest, DIGEST_SIZE);
    return 0;
}

static int make_policy(const struct ctl_page_request *request, char policy[CTL_PAGE_POLICY_SIZE])
{
    char script[HASH_SIZE];
    char style[HASH_SIZE];

    if (hash(&page_script, script) != 0 || hash(&page_style, style) != 0) {
        return -1;
    }
    snprintf(policy, CTL_PAGE_POLICY_SIZE,
             "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; img-src data:; "
             "%sbase-uri 'none'; form-action 'none'",
             script, style, request->live_s > 0 ? "connect-src 'self'; " : "");
    return 0;
}

/* Writes a text of ours into HTML. */
static void put_escaped(FILE *out, const struct page_file *file)
{
    for (size_t i = 0; i < file->length; i++) {
        switch (file->bytes[i]) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            putc(file->bytes[i], out);
        }
    }
}

static void put_mark(FILE *out, const char *mark, size_t length, const struct page_data *data,
                     const char *policy)
{
    static const struct {
        const char *name;
        const struct page_file *file;
    } files[] = {{"STYLE", &page_style}, {"SCRIPT", &page_script}};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strncmp(mark, files[i].name, length) == 0) {
            fwrite(files[i].file->bytes, 1, files[i].file->length, out);
        }
    }
    if (strncmp(mark, "LICENCE", length) == 0) {
        put_escaped(out, &page_licence);
    } else if (strncmp(mark, "POLICY", length) == 0) {
        fputs(policy, out);
    } else if (strncmp(mark, "LIVE", length) == 0) {
        fprintf(out, "%d", data->request->live_s);
    } else if (strncmp(mark, "DATA", length) == 0) {
        page_json_write(out, data);
    }
}

/* Writes the template; a mark is capital letters between two @. */
static void put_page(FILE *out, const struct page_data *data, const char *policy)
{
    const char *at = page_html.bytes;

    while (*at != '\0') {
        const char *mark = strchr(at, '@');
        size_t length = mark == NULL ? 0 : strspn(mark + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (mark == NULL) {
            fputs(at, out);
            return;
        }
        fwrite(at, 1, (size_t)(mark - at), out);
        at = mark + 1;
        if (length > 0 && mark[1 + length] == '@') {
            put_mark(out, mark + 1, length, data, policy);
            at = mark + length + 2;
        } else {
            putc('@', out);
        }
    }
}

static int write_page(const struct page_data *data, struct ctl_page *page, char *problem,
                      size_t problem_size)
{
    FILE *out = open_memstream(&page->html, &page->length);
    bool good = out != NULL && make_policy(data->request, page->policy) == 0;

    if (good) {
        put_page(out, data, page->policy);
        good = ferror(out) == 0;
    }
    if (out != NULL && fclose(out) != 0) {
        good = false;
    }
    if (!good) {
        ctl_page_free(page);
        snprintf(problem, problem_size, NO_MEMORY);
        return EX_OSERR;
    }
    page->devices = data->devices.count;
    page->days = data->days.count;
    return EX_OK;
}

/* Returns the exit status for a result of reading, and sets `problem`. */
static int failed(const struct page_data *data, int result, char *problem, size_t problem_size)
{
    if (data->out_of_memory) {
        snprintf(problem, problem_size, NO_MEMORY);
        return EX_OSERR;
    }
    if (data->refused[0] != '\0') {
        snprintf(problem, problem_size, "%s", data->refused);
        return 1;
    }
    snprintf(problem, problem_size, "%s",
             store_error(data->failed != NULL ? data->failed : data->store));
    switch (result) {
    case STORE_FATAL:
        return EX_IOERR;
    case STORE_E_PATH:
        return EX_NOINPUT;
    default:
        return 1;
    }
}

static int make_page(struct page_data *data, struct ctl_page *page, char *problem,
                     size_t problem_size)
{
    const struct ctl_page_request *request = data->request;
    int result = page_data_read(data);

    if (result != STORE_OK) {
        return failed(data, result, problem, problem_size);
    }
    if (data->devices.count == 0 && (request->device != NULL || request->group != NULL)) {
        snprintf(problem, problem_size, "there is no %s %.200s in the database",
                 request->device != NULL ? "device" : "group",
                 request->device != NULL ? request->device : request->group);
        return 1;
    }
    return write_page(data, page, problem, problem_size);
}

int ctl_page_make(const struct ctl_page_request *request, struct ctl_page *page, char *problem,
                  size_t problem_size)
{
    struct page_data data = {.request = request,
                             .zone = "UTC",
                             .since_ms = request->since_ms,
                             .started_ms = PAGE_NO_TIME};
    char other_problem[CTL_PAGE_PROBLEM_SIZE];
    int status;

    *page = (struct ctl_page){0};
    if (!ctl_page_available()) {
        snprintf(problem, problem_size,
                 "this foxtrackrctl has no report: dygraphs (Debian: libjs-dygraphs) was not there "
                 "when it was built");
        return EX_UNAVAILABLE;
    }
    if (store_open(&request->database, &data.store, problem, problem_size) != STORE_OK) {
        return EX_NOINPUT;
    }
    if (request->device == NULL && request->database.engine == CONFIG_SQLITE &&
        store_open(&request->database, &data.second, other_problem, sizeof(other_problem)) !=
            STORE_OK) {
        data.second = NULL; /* one thread reads everything, and meets what there is to tell */
    }
    status = make_page(&data, page, problem, problem_size);
    page_data_free(&data);
    store_close(data.second);
    store_close(data.store);
    return status;
}
