/*
 * Messages to systemd about the start, reloads, the end and the watchdog. See status/status.h.
 * Without systemd nothing is sent.
 */
#include "status/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/escape.h"
#include "status/file_internal.h"

void status_notify_starting(const char *text, int64_t extend_ms)
{
    char line[STATUS_TEXT_SIZE];

    snprintf(line, sizeof(line), "%s", text);
    escape_one_line(line);
    sd_notifyf(0, "STATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRId64, line, extend_ms * 1000);
}

void status_notify_waiting(const char *text)
{
    char line[STATUS_TEXT_SIZE];

    snprintf(line, sizeof(line), "%s", text);
    escape_one_line(line);
    sd_notifyf(0, "READY=1\nSTATUS=%s", line);
}

void status_notify_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
}

void status_notify_reloaded(void)
{
    sd_notify(0, "READY=1");
}

void status_notify_stopping(const char *text)
{
    char line[STATUS_TEXT_SIZE];

    snprintf(line, sizeof(line), "%s", text);
    escape_one_line(line);
    sd_notifyf(0, "STOPPING=1\nSTATUS=%s", line);
}

int64_t status_watchdog_ms(void)
{
    uint64_t period_us = 0;

    return sd_watchdog_enabled(0, &period_us) > 0 ? (int64_t)(period_us / 1000) : 0;
}

void status_notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

void status_notify_more_time(int64_t more_ms)
{
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRId64, more_ms * 1000);
}
