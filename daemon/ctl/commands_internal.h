/* The commands of foxtrackrctl: one table for the command line and the help. */
#ifndef CTL_COMMANDS_INTERNAL_H
#define CTL_COMMANDS_INTERNAL_H

#include <stddef.h>

#include "config/config.h"
#include "ctl/words_internal.h"

/* The configuration that a command needs. */
enum ctl_need {
    CTL_NEEDS_CONFIG,
    CTL_NEEDS_CONFIG_OR_FILE, /* works with its last operand, a FILE */
    CTL_TAKES_DEFAULTS,       /* uses [fields] and [parser] of a configuration, if there is one */
};

struct ctl_command {
    const char *name;
    const char *brief;     /* for the overview, where `arguments` are long; NULL: these */
    const char *arguments; /* "[--json] [FILE]", for people and for the completion; may have a
                              second line */
    const char *summary;   /* on one line of the overview */
    const char *about;     /* the page: lines of at most 78 characters, each with its \n */
    const char *options;   /* a line each; "" for none */
    const char *example;
    const char *exits; /* a line each */
    struct ctl_grammar grammar;
    enum ctl_need need;
    const char
        *file; /* CTL_NEEDS_CONFIG_OR_FILE: what FILE is, with an example; NULL: a database */
    int (*run)(const struct config *config, const struct ctl_words *words);
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_commands_count;

/* The command of this name, or NULL. */
const struct ctl_command *ctl_commands_find(const char *name);

/* --- what the commands do; ctl/status_internal.h has those of status -------------------------- */

/*
 * Check everything that foxtrackrd needs: configuration, files, certificates, database, disk, the
 * broker's name; with CTL_CONNECT also the broker itself. One line each, or JSON. Returns the exit
 * status: 0 when all is good, else 1.
 */
int ctl_check(const struct config *config, const struct ctl_words *words);

/* Check words->operands[0], for which `config` may be NULL, or the configured database. Returns the
 * exit status. */
int ctl_verify(const struct config *config, const struct ctl_words *words);

/* Copy the database to words->operands[0]. Returns the exit status. */
int ctl_backup(const struct config *config, const struct ctl_words *words);

/* Put the backup words->operands[0] in the place of the database. Returns the exit status: 0
 * restored, 1 refused or stopped, 66 FILE or database cannot be used, 74 FILE is damaged or the
 * disk fails. */
int ctl_restore(const struct config *config, const struct ctl_words *words);

/* Move the SQLite database words->operands[1] into the configured database of PostgreSQL;
 * words->operands[0] is the direction. Returns the exit status: 0 moved, or moved already; 1
 * refused or stopped, 64, 66 a side cannot be used, 74 the sides differ, 78. */
int ctl_migrate(const struct config *config, const struct ctl_words *words);

/* Parse the stored messages again, and print the result. Returns the exit status. */
int ctl_replay(const struct config *config, const struct ctl_words *words);

/*
 * Parse the payload in `file` (NULL: standard input) as if it had come on `topic` now, with the
 * configuration's [fields] and limits (NULL: the defaults). Prints the rows as JSON and returns 0,
 * or "reason: detail" on standard error and 1.
 */
int ctl_parse(const struct config *config, const char *topic, const char *file);

/*
 * Write the table or view words->operands[0] of the database words->operands[1], for which `config`
 * may be NULL, or of the configured one. Returns the exit status: 0 written, 1 no such
 * device, stopped, or the database is locked, 64 no such table, format or moment, 66 the database
 * or the table cannot be read, 71 out of memory, 73 the output cannot be written, 74 the database
 * is damaged.
 */
int ctl_export(const struct config *config, const struct ctl_words *words);

/*
 * Draw the readings words->operands[0] (battery or temperature) of words->device in the terminal,
 * from the database words->operands[1], for which `config` may be NULL, or the configured one.
 * Returns the exit status: 0 drawn, 1 no such device or no readings, or the database is locked, 64
 * there is no such plot or moment, 66 the database cannot be read, 74.
 */
int ctl_plot(const struct config *config, const struct ctl_words *words);

/* --- help, from the table; prints to standard output ------------------------------------------ */

/* Print the overview: one line for each command and general option. */
void ctl_help_overview(void);

/* Print the page of a command: usage, options, an example, exit statuses. */
void ctl_help_page(const struct ctl_command *command);

#endif
