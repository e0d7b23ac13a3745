/*
 * The table of commands with their help. The manual page has the same in more detail;
 * tests/system/test_ctl_help.py compares commands and options.
 */
#include "ctl/commands_internal.h"

#include <string.h>

#include "ctl/report_internal.h"
#include "ctl/status_internal.h"

static int run_status(const struct config *config, const struct ctl_words *words)
{
    bool named = words->operand_count > 0;
    const struct ctl_status_source source = {
        .file = named ? words->operands[0] : config->status.file,
        .config = named ? NULL : config,
    };
    bool json = (words->options & CTL_JSON) != 0;

    return (words->options & CTL_FOLLOW) != 0 ? ctl_status_follow(&source, json)
                                              : ctl_status(&source, json);
}

static int run_parse(const struct config *config, const struct ctl_words *words)
{
    return ctl_parse(config, words->operands[0], words->operands[1]);
}

#define STATUS_PATH "/run/foxtrackrd/status.json" /* as configured by default */
#define EXIT_USAGE  "  64  the command line is wrong\n"
#define EXIT_CONFIG "  78  the configuration is wrong\n"
#define JSON_LINE   "  --json             print JSON, for programs\n"

const struct ctl_command ctl_commands[] = {
    {
        .name = "status",
        .arguments = "[--json] [--follow] [FILE]",
        .summary = "what the daemon is doing, once or live",
        .about = "State, sessions, rates, messages, database, certificates and quarantine of the\n"
                 "daemon that runs with this configuration, or writes the status file FILE,\n"
                 "which needs no configuration.\n",
        .options = JSON_LINE "  --follow           show it again and again, until q or Ctrl-C\n",
        .example = "foxtrackrctl status --follow",
        .exits = "  0   all is well; always with --follow\n"
                 "  1   the daemon does not run, or is not well\n" EXIT_USAGE EXIT_CONFIG,
        .grammar = {CTL_JSON | CTL_FOLLOW, 0, 1, NULL},
        .need = CTL_NEEDS_CONFIG_OR_FILE,
        .file = "status file, which needs no configuration: foxtrackrctl status " STATUS_PATH,
        .run = run_status,
    },
    {
        .name = "check",
        .arguments = "[--json] [--connect]",
        .summary = "configuration, files, certificates, database",
        .about = "Everything that the daemon needs, whether it runs or not: one line each, marked\n"
                 "good, warn (works, and may be meant otherwise) or BAD.\n",
        .options =
            JSON_LINE "  --connect          try the broker, too: TCP, TLS, password, filters\n",
        .example = "sudo foxtrackrctl check --connect",
        .exits = "  0   nothing is BAD\n"
                 "  1   something is BAD\n" EXIT_USAGE EXIT_CONFIG,
        .grammar = {CTL_JSON | CTL_CONNECT, 0, 0, NULL},
        .run = ctl_check,
    },
    {
        .name = "verify",
        .arguments = "[--json] [FILE]",
        .summary = "whether the database, or a backup, is sound",
        .about =
            "Integrity, accounting, the digest of every row and every view, of FILE or of the\n"
            "configured database, while the daemon writes. FILE needs no configuration.\n",
        .options = JSON_LINE,
        .example = "foxtrackrctl verify /backup/fox.db",
        .exits = "  0   the database is sound\n"
                 "  1   it is not, or cannot be read\n" EXIT_USAGE EXIT_CONFIG,
        .grammar = {CTL_JSON, 0, 1, NULL},
        .need = CTL_NEEDS_CONFIG_OR_FILE,
        .run = ctl_verify,
    },
    {
        .name = "backup",
        .arguments = "[--force] FILE",
        .summary = "copy the database while the daemon writes",
        .about =
            "FILE becomes one state of the database, and is verified before it gets its name.\n",
        .options = "  --force            replace a FILE that is there\n",
        .example = "sudo foxtrackrctl backup /backup/fox.db",
        .exits = "  0   the backup is complete\n"
                 "  1   stopped, no space, or the database is locked\n" EXIT_USAGE
                 "  66  the database cannot be read\n"
                 "  69  the database is PostgreSQL's: pg_dump does this\n"
                 "  73  the backup cannot be written there\n"
                 "  74  the database is damaged, or its disk fails\n" EXIT_CONFIG,
        .grammar = {CTL_FORCE, 1, 1, "FILE"},
        .run = ctl_backup,
    },
    {
        .name = "restore",
        .arguments = "[--force] FILE",
        .summary = "put a backup in the place of the database",
        .about =
            "The daemon must be stopped. FILE is copied and verified; the old database is set\n"
            "aside and never deleted; the table gaps tells what is missing.\n",
        .options = "  --force            accept what verify finds in FILE, but no damage\n",
        .example = "sudo foxtrackrctl restore /backup/fox.db",
        .exits = "  0   restored\n"
                 "  1   stopped, no space, or foxtrackrd has the database\n" EXIT_USAGE
                 "  66  FILE cannot be read, or is no database that can be restored\n"
                 "  69  the database is PostgreSQL's: pg_restore does this\n"
                 "  73  a file would serve two purposes\n"
                 "  74  FILE is damaged or verify finds something in it, or the disk "
                 "fails\n" EXIT_CONFIG,
        .grammar = {CTL_FORCE, 1, 1, "FILE"},
        .run = ctl_restore,
    },
    {
        .name = "replay",
        .arguments = "[--reason R] [--dry-run]",
        .summary = "parse again what was not understood",
        .about = "Quarantine, messages and extra go once more through the parser with the present\n"
                 "configuration; what is understood now is moved to its table.\n",
        .options =
            "  --reason R         only what is in quarantine for this reason: topic, version,\n"
            "                     encoding, json, envelope, body, time, conflict or empty\n"
            "  --dry-run          count, and change nothing\n",
        .example = "sudo foxtrackrctl replay --dry-run",
        .exits = "  0   done\n"
                 "  1   stopped, no space, or the database is locked\n" EXIT_USAGE
                 "  66  the database cannot be read\n"
                 "  74  the database is damaged, or its disk fails\n" EXIT_CONFIG,
        .grammar = {CTL_REASON | CTL_DRY_RUN, 0, 0, NULL},
        .run = ctl_replay,
    },
    {
        .name = "migrate",
        .arguments = "sqlite-to-postgresql FILE",
        .summary = "move a SQLite database into PostgreSQL",
        .about = "The daemon must be stopped. Every row of FILE is moved into the configured\n"
                 "database, which must be empty, and both sides are compared at the end. FILE\n"
                 "stays. After an interruption the same command goes on. The daemon then goes\n"
                 "on with its session.\n",
        .options = "",
        .example = "sudo -u foxtrackrd foxtrackrctl migrate sqlite-to-postgresql\n"
                   "           /var/lib/foxtrackrd/foxtrackr.db",
        .exits = "  0   moved, and the same on both sides; or moved already\n"
                 "  1   stopped, foxtrackrd runs, or the server cannot be reached\n" EXIT_USAGE
                 "  66  FILE cannot be read, or the database is not empty or cannot hold a row\n"
                 "  74  the two sides differ, or a disk fails\n" EXIT_CONFIG,
        .grammar = {0, 1, 2, "sqlite-to-postgresql"},
        .run = ctl_migrate,
    },
    {
        .name = "export",
        .brief = "[OPTION]... TABLE [FILE]",
        .arguments = "[--since MOMENT] [--until MOMENT]\n"
                     "       [--device ID] [--format F] [--output FILE] TABLE [FILE]",
        .summary = "a table or view as CSV or JSON",
        .about = "Every row of TABLE, a table or a view, of the configured database or of FILE,\n"
                 "which needs no configuration, while the daemon writes. Times are there in ms\n"
                 "and as text with milliseconds.\n",
        .options = "  --since MOMENT     from this time on: 30d (before now), 2026-11-01,\n"
                   "                     2026-11-01T12:00:00Z\n"
                   "  --until MOMENT     until before this time\n"
                   "  --device ID        only of the device with this device_id\n"
                   "  --format F         csv (the default) or ndjson, one object a line\n"
                   "  -o, --output FILE  write there in place of standard output\n",
        .example = "foxtrackrctl export battery --since 30d -o battery.csv",
        .exits = "  0   every row is written\n"
                 "  1   no such device, stopped, or the database is locked\n"
                 "  64  the command line is wrong, or there is no such table\n"
                 "  66  the database cannot be read\n"
                 "  73  the output cannot be written\n"
                 "  74  the database is damaged, or its disk fails\n" EXIT_CONFIG,
        .grammar = {CTL_SINCE | CTL_UNTIL | CTL_DEVICE | CTL_FORMAT | CTL_OUTPUT, 1, 2, "TABLE"},
        .need = CTL_NEEDS_CONFIG_OR_FILE,
        .run = ctl_export,
    },
    {
        .name = "report",
        .brief = "[OPTION]... [FILE]",
        .arguments = "[--since MOMENT] [--group NAME]\n"
                     "       [--device ID] [--force] [--output FILE] [--serve [ADDRESS]] [FILE]",
        .summary = "a page about the fleet, to look at",
        .about = "One page of HTML about the configured database, or FILE, which needs no\n"
                 "configuration: what needs attention, where every message went, the fleet,\n"
                 "coverage, and each device with its battery, temperature and gaps. It opens\n"
                 "offline.\n",
        .options =
            "  --since MOMENT     from the day of this time on: 30d (the default), 2026-11-01\n"
            "  --group NAME       only of the devices of this group\n"
            "  --device ID        only of the device with this device_id, every reading\n"
            "  --force            replace an output that is there\n"
            "  -o, --output FILE  write there in place of standard output, or -\n"
            "  --serve [ADDRESS]  in the place of --output: show it live to a browser of this\n"
            "                     machine, on a free port or ADDRESS: PORT, HOST:PORT or\n"
            "                     unix:PATH\n",
        .example = "foxtrackrctl report --since 7d -o fleet.html",
        .exits = "  0   the report is written, or was served until Ctrl-C\n"
                 "  1   no such device or group, more than a page can have, stopped, the database\n"
                 "      is locked, or ADDRESS is in use\n" EXIT_USAGE
                 "  66  the database cannot be read\n"
                 "  69  built without the report\n"
                 "  73  the report cannot be written there\n"
                 "  74  the database is damaged, or its disk fails\n" EXIT_CONFIG,
        .grammar = {CTL_SINCE | CTL_GROUP | CTL_DEVICE | CTL_FORCE | CTL_OUTPUT | CTL_SERVE, 0, 1,
                    NULL},
        .need = CTL_NEEDS_CONFIG_OR_FILE,
        .run = ctl_report,
    },
    {
        .name = "plot",
        .brief = "--device ID [OPTION]... QUANTITY [FILE]",
        .arguments = "--device ID [--since MOMENT]\n"
                     "       [--until MOMENT] [--ascii] QUANTITY [FILE]",
        .summary = "readings as a curve",
        .about = "The battery or the temperature (QUANTITY) of one device in the terminal, with\n"
                 "gaps, from the configured database or FILE, which needs no configuration.\n"
                 "Times are UTC.\n",
        .options = "  --device ID        the device; FAMILY/ID where two families have that ID\n"
                   "  --since MOMENT     from this time on: 7d (before now, the default),\n"
                   "                     2026-11-01, 2026-11-01T12:00:00Z\n"
                   "  --until MOMENT     until before this time\n"
                   "  --ascii            no braille, also where the locale has it\n",
        .example = "foxtrackrctl plot battery --device 12345 --since 30d",
        .exits = "  0   drawn\n"
                 "  1   no such device, no readings, or the database is locked\n" EXIT_USAGE
                 "  66  the database cannot be read\n"
                 "  74  the database is damaged, or its disk fails\n" EXIT_CONFIG,
        .grammar = {CTL_DEVICE | CTL_SINCE | CTL_UNTIL | CTL_ASCII, 1, 2, "QUANTITY"},
        .need = CTL_NEEDS_CONFIG_OR_FILE,
        .run = ctl_plot,
    },
    {
        .name = "parse",
        .arguments = "TOPIC [FILE]",
        .summary = "show what becomes of one message",
        .about = "The rows of the message in FILE (standard input without it) as JSON, or why it\n"
                 "would go to quarantine. [fields] and [parser] of the configuration apply, or\n"
                 "their defaults where there is none.\n",
        .options = "",
        .example = "foxtrackrctl parse foxtrackr/12345/V3.0/bat message.json",
        .exits = "  0   the message is understood\n"
                 "  1   it would go to quarantine\n" EXIT_USAGE
                 "  66  FILE cannot be read\n" EXIT_CONFIG,
        .grammar = {0, 1, 2, "TOPIC"},
        .need = CTL_TAKES_DEFAULTS,
        .run = run_parse,
    },
};

const size_t ctl_commands_count = sizeof(ctl_commands) / sizeof(ctl_commands[0]);

const struct ctl_command *ctl_commands_find(const char *name)
{
    for (size_t i = 0; i < ctl_commands_count; i++) {
        if (strcmp(ctl_commands[i].name, name) == 0) {
            return &ctl_commands[i];
        }
    }
    return NULL;
}
