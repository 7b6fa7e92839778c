/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between options. */
#include "server/config.h"

#include "cluster/replication/quorum.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HOST_SIZE = 256,
    HANDOFF_RATE_MIN = 64 << 10,
    SCRUB_RATE_MIN = 64 << 10,
    SCRUB_PERIOD_MIN_MS = 10000
};

bool config_split_address(const char *address, char *ret_host, size_t host_size, uint16_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return false;
    const char *host = address;
    size_t size = (size_t)(colon - address);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (memchr(host, ':', size) != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    size_t digits = strspn(colon + 1, "0123456789");
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (size == 0 || size >= host_size || digits == 0 || digits > 5 || colon[1 + digits] != '\0' ||
        port > UINT16_MAX)
        return false;
    memcpy(ret_host, host, size);
    ret_host[size] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

static bool is_loopback(const char *address)
{
    char host[HOST_SIZE];
    uint16_t port;
    if (!config_split_address(address, host, sizeof(host), &port))
        return false;
    bool v4 = strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host);
    return v4 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

static bool is_wildcard(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

/* The place that set the option, as precisely as we know it. */
static void describe_origin(const struct config *config, const struct config_option *option,
                            char *ret, size_t size)
{
    const struct config_origin *origin = &config->origins[option - config_options];
    switch (origin->kind) {
    case CONFIG_FILE:
        snprintf(ret, size, "%s:%u", config->file, origin->line);
        break;
    case CONFIG_ENVIRONMENT:
        snprintf(ret, size, "environment");
        break;
    case CONFIG_FLAG:
        snprintf(ret, size, "command line");
        break;
    default:
        snprintf(ret, size, "default");
    }
}

__attribute__((format(printf, 5, 6))) static void note(const struct config *config,
                                                       struct config_problems *problems,
                                                       const char *section, const char *key,
                                                       const char *format, ...)
{
    char where[CONFIG_TEXT_MAX + 32], what[512];
    describe_origin(config, config_find(section, key), where, sizeof(where));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    buffer_printf(&problems->text, "%s: [%s] %s: %s\n", where, section, key, what);
    problems->count++;
}

/* --- listeners -------------------------------------------------------------------------------- */

static const char *const listeners[] = { "http", "pb", "resp", "peer" };

static const char *listener(const struct config *config, unsigned index)
{
    const char *const addresses[] = { config->http, config->pb, config->resp, config->peer };
    return addresses[index];
}

static void check_exposure(const struct config *config, struct config_problems *problems)
{
    for (unsigned i = 0; i < 4; i++) {
        const char *address = listener(config, i);
        if (address[0] != '\0' && !config->insecure && !is_loopback(address))
            note(config, problems, "listen", listeners[i],
                 "%.200s is not loopback, and there is neither TLS nor users yet; set insecure = "
                 "yes "
                 "to serve everyone who can reach it",
                 address);
    }
}

static void check_distinct(const struct config *config, struct config_problems *problems)
{
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < i; j++) {
            const char *address = listener(config, i), *other = listener(config, j);
            size_t size = strlen(address);
            bool any_port = size >= 2 && strcmp(address + size - 2, ":0") == 0;
            if (size > 0 && !any_port && strcmp(address, other) == 0)
                note(config, problems, "listen", listeners[i], "%.200s is also [listen] %s",
                     address, listeners[j]);
        }
    }
}

static void check_peer(const struct config *config, struct config_problems *problems)
{
    bool alone = config->join[0] == '\0' && config->founders == 1;
    if (config->peer[0] == '\0' && !alone)
        note(config, problems, "listen", "peer", "a node of a cluster needs it");
    if (is_wildcard(config->peer) && config->advertise[0] == '\0')
        note(config, problems, "listen", "peer",
             "%.200s is no address others can dial; set [node] advertise", config->peer);
    if (config->join[0] != '\0' && config->founders > 1)
        note(config, problems, "node", "founders",
             "only the founder has it; leave it out where [node] join is set");
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void check_levels(const struct config *config, struct config_problems *problems)
{
    const struct {
        const char *key;
        uint64_t level;
    } levels[] = { { "r", config->r },
                   { "w", config->w },
                   { "dw", config->dw },
                   { "pr", config->pr },
                   { "pw", config->pw } };
    for (unsigned i = 0; i < 5; i++) {
        if (quorum_level_word((uint32_t)levels[i].level) == NULL && levels[i].level > config->n)
            note(config, problems, "quorum", levels[i].key,
                 "%u replicas can never answer where there are %u (n)", (unsigned)levels[i].level,
                 (unsigned)config->n);
    }
}

static void check_limits(const struct config *config, struct config_problems *problems)
{
    if (config->value_size_warning > config->value_size)
        note(config, problems, "limits", "value_size_warning", "above value_size");
    if (config->siblings_warning > config->siblings)
        note(config, problems, "limits", "siblings_warning", "above siblings");
    if (config->output_buffer < config->value_size + (1 << 20))
        note(config, problems, "limits", "output_buffer",
             "a value of value_size, and 1 MB more, must fit");
    if (config->peer_queue < config->value_size + (1 << 20))
        note(config, problems, "limits", "peer_queue",
             "a value of value_size, and 1 MB more, must fit");
    if ((config->partitions & (config->partitions - 1)) != 0)
        note(config, problems, "node", "partitions", "not a power of two");
    if (config->probe_interval_ms != 0 && config->probe_timeout_ms >= config->probe_interval_ms)
        note(config, problems, "gossip", "probe_timeout_ms", "not below probe_interval_ms");
    if (config->handoff_rate != 0 && config->handoff_rate < HANDOFF_RATE_MIN)
        note(config, problems, "cluster", "handoff_rate",
             "below 64KB a second a move would hardly end; 0 is no limit");
    if (config->scrub_period_ms != 0 && config->scrub_period_ms < SCRUB_PERIOD_MIN_MS)
        note(config, problems, "scrub", "period_ms",
             "below 10 seconds a node would hardly do anything else; 0 is never");
    if (config->scrub_rate != 0 && config->scrub_rate < SCRUB_RATE_MIN)
        note(config, problems, "scrub", "rate",
             "below 64KB a second a pass would hardly end; 0 is no limit");
    if (config->data_dir[0] == '\0')
        note(config, problems, "node", "data_dir", "empty");
}

void config_check(const struct config *config, struct config_problems *problems)
{
    check_exposure(config, problems);
    check_distinct(config, problems);
    check_peer(config, problems);
    check_levels(config, problems);
    check_limits(config, problems);
}
