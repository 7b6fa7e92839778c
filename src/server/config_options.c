/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, and what follows from an option's kind: parsing, formatting, describing. */
#include "server/config.h"

#include "cluster/replication/quorum.h"
#include "cluster/ring/ring.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define KB (UINT64_C(1) << 10)
#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)
#define AT(field) offsetof(struct config, field)

/* section, key, flag, kind, place, minimum, maximum, choices, default, help */
const struct config_option config_options[] = {
    { "node", "name", "--name", CONFIG_NAME, AT(name), 0, 0, NULL, "",
      "Name of this node in status and logs, unique in the cluster; empty: made from its id." },
    { "node", "data_dir", "--data-dir", CONFIG_TEXT, AT(data_dir), 0, 0, NULL, "kvorum-data",
      "Directory of everything the node keeps; made when missing, locked while in use." },
    { "node", "zone", "--zone", CONFIG_NAME, AT(zone), 0, 0, NULL, "default",
      "What fails together with this node (rack, room); replicas spread over zones." },
    { "node", "weight", "--weight", CONFIG_NUMBER, AT(weight), 1, 10000, NULL, "100",
      "Share of the data this node takes, relative to the others." },
    { "node", "join", "--join", CONFIG_ADDRESS, AT(join), 0, 0, NULL, "off",
      "Peer address of the founder, or of any member of the cluster this new node joins." },
    { "node", "auto_join", "--auto-join", CONFIG_BOOL, AT(auto_join), 0, 1, NULL, "no",
      "A node that joins a founded cluster takes its share by itself, where nothing but joins is "
      "staged and the plan is safe; otherwise an operator commits." },
    { "node", "founders", "--founders", CONFIG_NUMBER, AT(founders), 1, RING_MEMBERS_MAX, NULL, "1",
      "On the founder of a new cluster: how many nodes, itself among them, begin it." },
    { "node", "reactors", "--reactors", CONFIG_NUMBER, AT(reactors), 0, 64, NULL, "0",
      "Threads that serve; 0: one a processor core. May change at each start." },
    { "node", "advertise", "--advertise", CONFIG_ADDRESS, AT(advertise), 0, 0, NULL, "off",
      "Address under which other nodes reach this one; off: the address of [listen] peer." },
    { "node", "partitions", "--partitions", CONFIG_NUMBER, AT(partitions), 8, RING_PARTITIONS_MAX,
      NULL, "1024", "On the founder: partitions of the ring, a power of two, fixed for ever." },

    { "listen", "http", "--http", CONFIG_ADDRESS, AT(http), 0, 0, NULL, "127.0.0.1:8098",
      "HTTP, with the routes of Riak." },
    { "listen", "pb", "--pb", CONFIG_ADDRESS, AT(pb), 0, 0, NULL, "off",
      "Reserved for Riak's protocol buffers: accepted, and nothing listens there yet." },
    { "listen", "resp", "--resp", CONFIG_ADDRESS, AT(resp), 0, 0, NULL, "127.0.0.1:6379",
      "The Redis protocol." },
    { "listen", "peer", "--peer", CONFIG_ADDRESS, AT(peer), 0, 0, NULL, "127.0.0.1:9098",
      "Other nodes of the cluster." },
    { "listen", "insecure", "--insecure", CONFIG_BOOL, AT(insecure), 0, 1, NULL, "no",
      "Allow listening beyond loopback though there is neither TLS nor users." },

    { "quorum", "n", "--n", CONFIG_NUMBER, AT(n), 1, RING_REPLICAS_MAX, NULL, "3",
      "Replicas of each key, where a bucket says nothing else." },
    { "quorum", "r", NULL, CONFIG_LEVEL, AT(r), 1, REPLICAS_MAX, NULL, "quorum",
      "Replicas that must answer a read." },
    { "quorum", "w", NULL, CONFIG_LEVEL, AT(w), 0, REPLICAS_MAX, NULL, "quorum",
      "Replicas that must have a write." },
    { "quorum", "dw", NULL, CONFIG_LEVEL, AT(dw), 0, REPLICAS_MAX, NULL, "default",
      "Replicas that must have a write on disk; default: a quorum where sync = always." },
    { "quorum", "pr", NULL, CONFIG_LEVEL, AT(pr), 0, REPLICAS_MAX, NULL, "0",
      "Of the replicas of a read, how many must be owners of the key." },
    { "quorum", "pw", NULL, CONFIG_LEVEL, AT(pw), 0, REPLICAS_MAX, NULL, "0",
      "Of the replicas of a write, how many must be owners of the key." },

    { "storage", "engine", "--engine", CONFIG_CHOICE, AT(engine), 0, 0, "lsm|memory", "lsm",
      "Storage engine, fixed when the data directory is made; memory forgets at exit." },
    { "storage", "sync", "--sync", CONFIG_CHOICE, AT(sync), 0, 0, "always|interval|never", "always",
      "When a write is on disk: before it is acknowledged, now and then, or as the system does." },
    { "storage", "sync_interval_ms", NULL, CONFIG_DURATION, AT(sync_interval_ms), 10, 60000, NULL,
      "1000", "With sync = interval: the longest time a write waits for the disk." },
    { "storage", "memtable_size", NULL, CONFIG_SIZE, AT(memtable_size), MB, 16 * GB, NULL, "64MB",
      "Engine lsm: newest data of one store in memory; it is written to a table when it is full." },
    { "storage", "cache_size", NULL, CONFIG_SIZE, AT(cache_size), MB, 1024 * GB, NULL, "256MB",
      "Engine lsm: blocks of tables kept in memory, of all stores together." },
    { "storage", "memory_limit", NULL, CONFIG_SIZE, AT(memory_limit), MB, 1024 * GB, NULL, "1GB",
      "Engine memory: of one store; beyond it writes are refused." },
    { "storage", "stores", "--stores", CONFIG_NUMBER, AT(stores), 0, 64, NULL, "0",
      "Stores of a new data directory; 0: one a processor core. Fixed when it is made." },

    { "scrub", "period_ms", NULL, CONFIG_DURATION, AT(scrub_period_ms), 0, UINT64_C(31536000000),
      NULL, "1209600000",
      "From the end of a pass over all files to the beginning of the next (14 days); 0: only when "
      "asked to." },
    { "scrub", "rate", NULL, CONFIG_SIZE, AT(scrub_rate), 0, 1024 * GB, NULL, "16MB",
      "Bytes a second that are read for it, by all reactors together; 0: as many as come." },

    { "limits", "value_size", NULL, CONFIG_SIZE, AT(value_size), KB, 512 * MB, NULL, "50MB",
      "Largest value." },
    { "limits", "value_size_warning", NULL, CONFIG_SIZE, AT(value_size_warning), KB, 512 * MB, NULL,
      "5MB", "Larger values are logged." },
    { "limits", "siblings", NULL, CONFIG_NUMBER, AT(siblings), 1, 10000, NULL, "100",
      "Concurrent values of one key; a write that would leave more is refused." },
    { "limits", "siblings_warning", NULL, CONFIG_NUMBER, AT(siblings_warning), 1, 10000, NULL, "25",
      "More siblings are logged." },
    { "limits", "requests", NULL, CONFIG_NUMBER, AT(requests), 1, 10000000, NULL, "50000",
      "Requests in flight on one reactor; beyond it they are answered OVERLOADED." },
    { "limits", "connections", NULL, CONFIG_NUMBER, AT(connections), 1, 1000000, NULL, "10000",
      "Client connections of the process; further ones are refused." },
    { "limits", "pipeline", NULL, CONFIG_NUMBER, AT(pipeline), 1, 100000, NULL, "1024",
      "Requests in flight of one connection; it is not read from beyond them." },
    { "limits", "header_size", NULL, CONFIG_SIZE, AT(header_size), KB, MB, NULL, "64KB",
      "Header block of an HTTP request, inline command of RESP." },
    { "limits", "header_deadline_ms", NULL, CONFIG_DURATION, AT(header_deadline_ms), 50, 3600000,
      NULL, "5000", "A request begun must be whole by then, or keep coming at 1 KB a second." },
    { "limits", "idle_timeout_ms", NULL, CONFIG_DURATION, AT(idle_timeout_ms), 0, 86400000, NULL,
      "0", "A connection that asks nothing so long is closed; 0: never." },
    { "limits", "output_buffer", NULL, CONFIG_SIZE, AT(output_buffer), MB, 4 * GB, NULL, "256MB",
      "Answers that a slow client has not taken; a connection with more is closed." },
    { "limits", "peer_queue", NULL, CONFIG_SIZE, AT(peer_queue), MB, 4 * GB, NULL, "256MB",
      "Messages that wait for one link to another node; further ones are refused." },
    { "limits", "request_timeout_ms", NULL, CONFIG_DURATION, AT(request_timeout_ms), 10, 600000,
      NULL, "10000", "How long a request may take that names no time of its own." },
    { "limits", "hints", NULL, CONFIG_NUMBER, AT(hints), 1, UINT64_C(1000000000), NULL, "1000000",
      "Objects held for one node that is away; further ones are refused, and found by comparing." },
    { "limits", "hints_size", NULL, CONFIG_SIZE, AT(hints_size), MB, 1024 * GB, NULL, "1GB",
      "Bytes of them." },
    { "limits", "hint_rate", NULL, CONFIG_SIZE, AT(hint_rate), KB, 64 * GB, NULL, "16MB",
      "Bytes a second in which they are handed over to one node that is back." },
    { "limits", "hint_horizon_ms", NULL, CONFIG_DURATION, AT(hint_horizon_ms), 60000,
      UINT64_C(315360000000), NULL, "864000000",
      "Older ones (10 days) are not handed over any more: partitions are compared instead." },
    { "limits", "clock_offset_ms", NULL, CONFIG_DURATION, AT(clock_offset_ms), 1, 60000, NULL,
      "500", "How far two nodes' clocks are apart at most; expired values are dropped after it." },

    { "cluster", "key_file", "--cluster-key-file", CONFIG_TEXT, AT(key_file), 0, 0, NULL, "",
      "File of at least 16 bytes, the same on all nodes: signs gossip, and only who knows it may "
      "link to a node; mode 0600." },
    { "cluster", "other_key_file", NULL, CONFIG_TEXT, AT(other_key_file), 0, 0, NULL, "",
      "A second key that links may be made with while key_file is changed, node by node." },
    { "cluster", "tombstone_age_ms", NULL, CONFIG_DURATION, AT(tombstone_age_ms), 0,
      UINT64_C(315360000000), NULL, "0",
      "Tombstones so old are collected once all nodes have them, 86400000 is a day; 0: never." },
    { "cluster", "handoff_rate", "--handoff-rate", CONFIG_SIZE, AT(handoff_rate), 0, 1024 * GB,
      NULL, "8MB",
      "Bytes a second of moving partitions that this node takes in, its reactors together; 0: as "
      "many as come." },

    { "gossip", "preset", "--gossip", CONFIG_CHOICE, AT(gossip_preset), 0, 0, "lan|wan|local",
      "lan",
      "How soon silent nodes are noticed: in seconds, more patiently, or all on one machine." },
    { "gossip", "probe_interval_ms", NULL, CONFIG_DURATION, AT(probe_interval_ms), 0, 600000, NULL,
      "0", "Each node asks another whether it is there so often; 0: as the preset has it." },
    { "gossip", "probe_timeout_ms", NULL, CONFIG_DURATION, AT(probe_timeout_ms), 0, 600000, NULL,
      "0", "Others are asked to ask when no answer came by then; 0: as the preset has it." },
    { "gossip", "suspicion_multiplier", NULL, CONFIG_NUMBER, AT(suspicion_multiplier), 0, 20, NULL,
      "0", "Time a suspect has to answer, in probe intervals; 0: as the preset has it." },

    { "log", "level", "--log-level", CONFIG_CHOICE, AT(log_level), 0, 0,
      "debug|info|warn|error|none", "info", "Least important lines that are written." },
    { "log", "format", "--log-format", CONFIG_CHOICE, AT(log_format), 0, 0, "text|logfmt|json",
      "text", "How a line looks." },
    { "log", "file", "--log-file", CONFIG_TEXT, AT(log_file), 0, 0, NULL, "",
      "File that lines are appended to; empty: standard error." },
};

const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);
static_assert(sizeof(config_options) / sizeof(config_options[0]) <= CONFIG_OPTIONS_MAX,
              "struct config remembers the origin of each option");

/* --- reading values ------------------------------------------------------------------------ */

static uint64_t *number_of(struct config *config, const struct config_option *option)
{
    return (uint64_t *)((char *)config + option->offset);
}

static uint64_t number_in(const struct config *config, const struct config_option *option)
{
    return *(const uint64_t *)((const char *)config + option->offset);
}

static char *text_of(struct config *config, const struct config_option *option)
{
    return (char *)config + option->offset;
}

static const char *text_in(const struct config *config, const struct config_option *option)
{
    return (const char *)config + option->offset;
}

static const struct unit {
    const char *name;
    uint64_t factor;
} units[] = {
    { "", 1 },    { "B", 1 },    { "K", KB }, { "KB", KB }, { "KiB", KB }, { "M", MB },
    { "MB", MB }, { "MiB", MB }, { "G", GB }, { "GB", GB }, { "GiB", GB },
};

static bool parse_number(const char *text, bool with_unit, uint64_t *ret)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    size_t unit_count = with_unit ? sizeof(units) / sizeof(units[0]) : 1;
    for (size_t i = 0; errno == 0 && i < unit_count; i++) {
        if (strcasecmp(end, units[i].name) != 0)
            continue;
        if (value > UINT64_MAX / units[i].factor)
            return false;
        *ret = value * units[i].factor;
        return true;
    }
    return false;
}

bool config_parse_size(const char *text, uint64_t *ret)
{
    return parse_number(text, true, ret);
}

static bool parse_choice(const char *choices, const char *text, uint64_t *ret)
{
    size_t size = strlen(text);
    uint64_t index = 0;
    for (const char *at = choices; *at != '\0'; index++) {
        size_t length = strcspn(at, "|");
        if (length == size && memcmp(at, text, size) == 0) {
            *ret = index;
            return true;
        }
        at += length + (at[length] == '|');
    }
    return false;
}

static bool parse_bool(const char *text, uint64_t *ret)
{
    static const char *const words[2][4] = { { "no", "false", "off", "0" },
                                             { "yes", "true", "on", "1" } };
    for (unsigned i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i / 4][i % 4]) != 0)
            continue;
        *ret = i / 4;
        return true;
    }
    return false;
}

static bool parse_level(const struct config_option *option, const char *text, uint64_t *ret)
{
    uint32_t level;
    if (!quorum_level_parse(bytes_of_string(text), &level))
        return false;
    *ret = level;
    return quorum_level_word(level) != NULL ||
           (level >= option->minimum && level <= option->maximum);
}

static bool parse(const struct config_option *option, const char *text, uint64_t *ret)
{
    switch (option->kind) {
    case CONFIG_BOOL:
        return parse_bool(text, ret);
    case CONFIG_CHOICE:
        return parse_choice(option->choices, text, ret);
    case CONFIG_LEVEL:
        return parse_level(option, text, ret);
    default:
        return parse_number(text, option->kind == CONFIG_SIZE, ret) && *ret >= option->minimum &&
               *ret <= option->maximum;
    }
}

static bool is_text(const struct config_option *option)
{
    return option->kind <= CONFIG_ADDRESS;
}

static bool text_fits(const struct config_option *option, const char *text)
{
    char host[RING_ADDRESS_MAX + 1];
    uint16_t port;
    switch (option->kind) {
    case CONFIG_NAME:
        return text[0] == '\0' || ring_name_valid(text);
    case CONFIG_ADDRESS:
        return strlen(text) <= RING_ADDRESS_MAX &&
               (text[0] == '\0' || config_split_address(text, host, sizeof(host), &port));
    default:
        return strlen(text) <= CONFIG_TEXT_MAX;
    }
}

/* --- describing ------------------------------------------------------------------------------ */

static void format_size(uint64_t value, char *ret, size_t size)
{
    static const char *const names[] = { "", "KB", "MB", "GB" };
    unsigned unit = 0;
    while (unit < 3 && value != 0 && value % KB == 0) {
        value /= KB;
        unit++;
    }
    snprintf(ret, size, "%" PRIu64 "%s", value, names[unit]);
}

static void describe(const struct config_option *option, char *ret, size_t size)
{
    char low[32], high[32];
    switch (option->kind) {
    case CONFIG_TEXT:
        snprintf(ret, size, "a text of at most %d bytes", CONFIG_TEXT_MAX);
        break;
    case CONFIG_NAME:
        snprintf(ret, size, "1 to %d of letters, digits, - _ .", RING_NAME_MAX);
        break;
    case CONFIG_ADDRESS:
        snprintf(ret, size, "HOST:PORT, or off");
        break;
    case CONFIG_BOOL:
        snprintf(ret, size, "yes or no");
        break;
    case CONFIG_CHOICE:
        snprintf(ret, size, "one of %s", option->choices);
        break;
    case CONFIG_SIZE:
        format_size(option->minimum, low, sizeof(low));
        format_size(option->maximum, high, sizeof(high));
        snprintf(ret, size, "a size from %s to %s", low, high);
        break;
    case CONFIG_LEVEL:
        snprintf(ret, size,
                 "one, quorum, all, local_quorum, each_quorum, default or a number from %" PRIu64
                 " to %" PRIu64,
                 option->minimum, option->maximum);
        break;
    default:
        snprintf(ret, size, "a%s number from %" PRIu64 " to %" PRIu64,
                 option->kind == CONFIG_DURATION ? " time in milliseconds, a" : "", option->minimum,
                 option->maximum);
    }
}

const char *config_set(struct config *config, const struct config_option *option, const char *text,
                       char *scratch, size_t scratch_size)
{
    bool taken;
    if (is_text(option)) {
        if (option->kind == CONFIG_ADDRESS && strcmp(text, "off") == 0)
            text = "";
        taken = text_fits(option, text);
        if (taken)
            snprintf(text_of(config, option), CONFIG_TEXT_MAX + 1, "%s", text);
    } else {
        uint64_t value = 0;
        taken = parse(option, text, &value);
        if (taken)
            *number_of(config, option) = value;
    }
    if (taken)
        return NULL;
    char wanted[160];
    describe(option, wanted, sizeof(wanted));
    snprintf(scratch, scratch_size, "%.80s is not %s", text[0] == '\0' ? "\"\"" : text, wanted);
    return scratch;
}

static void format_choice(const char *choices, uint64_t index, char *ret, size_t size)
{
    while (index-- > 0)
        choices += strcspn(choices, "|") + 1;
    snprintf(ret, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void format_level(uint64_t level, char *ret, size_t size)
{
    const char *word = quorum_level_word((uint32_t)level);
    if (word != NULL)
        snprintf(ret, size, "%s", word);
    else
        snprintf(ret, size, "%" PRIu64, level);
}

void config_format(const struct config *config, const struct config_option *option, char *ret_text,
                   size_t size)
{
    if (is_text(option)) {
        const char *text = text_in(config, option);
        bool off = option->kind == CONFIG_ADDRESS && text[0] == '\0';
        snprintf(ret_text, size, "%s", off ? "off" : text);
        return;
    }
    uint64_t value = number_in(config, option);
    if (option->kind == CONFIG_CHOICE)
        format_choice(option->choices, value, ret_text, size);
    else if (option->kind == CONFIG_BOOL)
        snprintf(ret_text, size, "%s", value ? "yes" : "no");
    else if (option->kind == CONFIG_LEVEL)
        format_level(value, ret_text, size);
    else if (option->kind == CONFIG_SIZE)
        format_size(value, ret_text, size);
    else
        snprintf(ret_text, size, "%" PRIu64, value);
}

/* --- texts from the table -------------------------------------------------------------------- */

static const char *origin_text(const struct config *config, size_t index, char *scratch,
                               size_t size)
{
    const struct config_origin *origin = &config->origins[index];
    switch (origin->kind) {
    case CONFIG_FILE:
        snprintf(scratch, size, "  ; %s:%u", config->file, origin->line);
        return scratch;
    case CONFIG_ENVIRONMENT:
        return "  ; environment";
    case CONFIG_FLAG:
        return "  ; command line";
    default:
        return "";
    }
}

void config_show(const struct config *config, struct buffer *ret_text)
{
    const char *section = "";
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char value[CONFIG_TEXT_MAX + 1], scratch[CONFIG_TEXT_MAX + 32];
        if (strcmp(section, option->section) != 0)
            buffer_printf(ret_text, "%s[%s]\n", i == 0 ? "" : "\n", option->section);
        section = option->section;
        config_format(config, option, value, sizeof(value));
        buffer_printf(ret_text, "%s = %s%s\n", option->key, value,
                      origin_text(config, i, scratch, sizeof(scratch)));
    }
}

void config_reference(struct buffer *ret_text)
{
    const char *section = "";
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char values[160];
        describe(option, values, sizeof(values));
        if (strcmp(section, option->section) != 0)
            buffer_printf(
                ret_text,
                "\n## [%s]\n\n| key | default | values | what it does |\n|---|---|---|---|"
                "\n",
                option->section);
        section = option->section;
        for (char *at = values; *at != '\0'; at++)
            *at = *at == '|' ? ',' : *at; /* a bar would end the cell */
        buffer_printf(ret_text, "| `%s`%s%s%s | %s | %s | %s |\n", option->key,
                      option->flag == NULL ? "" : " `", option->flag == NULL ? "" : option->flag,
                      option->flag == NULL ? "" : "`",
                      option->standard[0] == '\0' ? "(empty)" : option->standard, values,
                      option->help);
    }
}

void config_help(struct buffer *ret_text)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        if (option->flag != NULL)
            buffer_printf(ret_text, "  %-14s %s%s%s%s\n", option->flag, option->help,
                          option->standard[0] == '\0' ? "" : " [", option->standard,
                          option->standard[0] == '\0' ? "" : "]");
    }
    buffer_append_text(ret_text, "  --config FILE  Read this file.\n"
                                 "  --SECTION.KEY VALUE  Any option of the file, see "
                                 "docs/operations/configuration.md.\n");
}
