/* The help of foxtrackrctl, from the table of commands. Prints to standard output. */
#ifndef CTL_HELP_INTERNAL_H
#define CTL_HELP_INTERNAL_H

#include "ctl/commands_internal.h"

/* Print the overview: one line for each command and general option. */
void ctl_help_overview(void);

/* Print the page of a command: usage, options, an example, exit statuses. */
void ctl_help_page(const struct ctl_command *command);

#endif
