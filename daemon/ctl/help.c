/*
 * The help of foxtrackrctl. The completion (packaging/completion) reads the overview, where a
 * command with its arguments is preceded and followed by two blanks, and the usage of a page.
 */
#include "ctl/commands_internal.h"

#include <stdio.h>

void ctl_help_overview(void)
{
    char head[64];

    puts("Usage: foxtrackrctl [-c FILE] COMMAND\n");
    for (size_t i = 0; i < ctl_commands_count; i++) {
        snprintf(head, sizeof(head), "%s %s", ctl_commands[i].name,
                 ctl_commands[i].brief != NULL ? ctl_commands[i].brief : ctl_commands[i].arguments);
        printf("  %-31s  %s\n", head, ctl_commands[i].summary);
    }
    printf("  %-31s  %s\n"
           "\n"
           "  -c, --config FILE    configuration (" CONFIG_DEFAULT_PATH ")\n"
           "      --version        print the version and exit\n"
           "  -h, --help           print this, or with a command its page, and exit\n"
           "\n"
           "See foxtrackrctl(8).\n",
           "help [COMMAND]", "explain a command, with an example");
}

void ctl_help_page(const struct ctl_command *command)
{
    printf("Usage: foxtrackrctl [-c FILE] %s %s\n\n%s\nOptions:\n%s"
           "  -c, --config FILE  configuration (" CONFIG_DEFAULT_PATH ")\n"
           "  -h, --help         print this and exit\n"
           "\nExample:\n  %s\n"
           "\nExit status:\n%s",
           command->name, command->arguments, command->about, command->options, command->example,
           command->exits);
}
