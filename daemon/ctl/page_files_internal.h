/* The files of daemon/ctl/report, and the charts' library, which the build puts into the program.
 */
#ifndef CTL_PAGE_FILES_INTERNAL_H
#define CTL_PAGE_FILES_INTERNAL_H

#include <stddef.h>

/* Bytes that end with a NUL, which is not counted. */
struct page_file {
    const char *bytes;
    size_t length;
};

/* Made by daemon/ctl/report/report.mk. Without the library `page_script` is empty. */
extern const struct page_file page_html;
extern const struct page_file page_style;
extern const struct page_file page_script;
extern const struct page_file page_licence;

#endif
