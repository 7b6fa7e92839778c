/* SPDX-License-Identifier: Apache-2.0 */
/** Configuration: defaults, then the file, then KVORUM_SECTION__KEY, then command-line flags; the
 *  later wins.  One table describes every option; parsing, `config show`, --help and
 *  docs/operations/configuration.md come from it.
 *
 *  All problems are collected, none stops the reading: an operator sees them at once. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/buffer.h"
#include "kvorum/status.h"

enum {
    CONFIG_TEXT_MAX = 1023,
    CONFIG_ORIGIN_MAX = CONFIG_TEXT_MAX + 16,
    CONFIG_OPTIONS_MAX = 64,
};

typedef char config_text[CONFIG_TEXT_MAX + 1];

enum config_engine { CONFIG_ENGINE_LSM, CONFIG_ENGINE_MEMORY };

/** Where a value came from, for `config show`. */
struct config_origin {
    enum { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG } kind;
    unsigned line;
};

struct config {
    config_text file; /* the file that was read; "" for none */
    /* [node] */
    config_text name, data_dir, zone, join, advertise;
    uint64_t weight, founders, reactors, partitions, auto_join;
    /* [listen] */
    config_text http, resp, pb, peer;
    uint64_t insecure;
    /* [quorum]: numbers or LEVEL_* */
    uint64_t n, r, w, dw, pr, pw;
    /* [storage] */
    uint64_t engine, sync, sync_interval_ms, stores;
    uint64_t memtable_size, cache_size, memory_limit; /* bytes */
    /* [scrub] */
    uint64_t scrub_period_ms, scrub_rate; /* 0: never by itself; bytes a second, 0: no limit */
    /* [limits] */
    uint64_t value_size, value_size_warning, siblings, siblings_warning, requests, connections;
    uint64_t pipeline, header_size, header_deadline_ms, idle_timeout_ms, output_buffer, peer_queue;
    uint64_t request_timeout_ms;
    uint64_t hints, hints_size, hint_rate, hint_horizon_ms, clock_offset_ms;
    uint64_t tombstone_age_ms;
    /* [cluster] */
    config_text key_file, other_key_file;
    uint64_t handoff_rate; /* bytes a second into this node; 0: no limit */
    /* [gossip] */
    uint64_t gossip_preset, probe_interval_ms, probe_timeout_ms, suspicion_multiplier;
    /* [log] */
    uint64_t log_level, log_format;
    config_text log_file;

    struct config_origin origins[CONFIG_OPTIONS_MAX]; /* by index in config_options */
};

enum config_kind {
    CONFIG_TEXT,    /* any text */
    CONFIG_NAME,    /* letters, digits, - _ . */
    CONFIG_ADDRESS, /* HOST:PORT, [V6]:PORT, or off */
    CONFIG_NUMBER,
    CONFIG_SIZE,     /* bytes: 4096, 64KB, 1GB */
    CONFIG_DURATION, /* milliseconds */
    CONFIG_BOOL,     /* yes, no */
    CONFIG_CHOICE,
    CONFIG_LEVEL, /* a number, one, quorum, all, default */
};

struct config_option {
    const char *section, *key;
    const char *flag; /* "--data-dir"; NULL: only as --section.key */
    enum config_kind kind;
    size_t offset;             /* of a config_text or uint64_t in struct config */
    uint64_t minimum, maximum; /* of numbers, sizes, durations, levels */
    const char *choices;       /* of CHOICE: "lsm|memory"; the value is the index */
    const char *standard;      /* default, as one would write it */
    const char *help;          /* one sentence */
};

extern const struct config_option config_options[];
extern const size_t config_option_count;

/** Problems found so far, one line each. */
struct config_problems {
    struct buffer text;
    unsigned count;
};

void config_problems_init(struct config_problems *problems);
void config_problems_done(struct config_problems *problems);

/** Read everything: `arguments` are the flags after `kvorum server`.  The file is the one of
 *  --config, or "kvorum.conf" in the working directory if it is there.  False: see `problems`; exit
 *  with 2.
 */
bool config_load(struct config *ret_config, int argument_count, char *const *arguments,
                 char *const *environment, struct config_problems *problems);

/** The steps of config_load, in its order. */
void config_init(struct config *config);
void config_read_file(struct config *config, const char *path, struct config_problems *problems);
void config_read_environment(struct config *config, char *const *environment,
                             struct config_problems *problems);
void config_read_arguments(struct config *config, int count, char *const *arguments,
                           struct config_problems *problems);
/** Rules between options: loopback, warnings below limits, quorums, who founds. */
void config_check(const struct config *config, struct config_problems *problems);

/** Set one option from text.  NULL when it was taken, or what is wrong with it, in `scratch`. */
const char *config_set(struct config *config, const struct config_option *option, const char *text,
                       char *scratch, size_t scratch_size);
/** "4096", "64KB", "1GB" as bytes; false: it is none. */
bool config_parse_size(const char *text, uint64_t *ret);
const struct config_option *config_find(const char *section, const char *key);

/** The configuration in force as a file, each value with where it came from. */
void config_show(const struct config *config, struct buffer *ret_text);
/** One value as it would be written in a file. */
void config_format(const struct config *config, const struct config_option *option, char *ret_text,
                   size_t size);
/** Where the value came from: "FILE:LINE", "environment", "command line"; "" is the default.  In
 *  `size` of at least CONFIG_ORIGIN_MAX bytes it is never cut. */
void config_origin_format(const struct config *config, const struct config_option *option,
                          char *ret_text, size_t size);
/** What may be written there: "a size from 1MB to 16GB". */
void config_describe(const struct config_option *option, char *ret_text, size_t size);
/** docs/operations/configuration.md. */
void config_reference(struct buffer *ret_text);
/** The flags, for --help. */
void config_help(struct buffer *ret_text);

/** Split "host:port" or "[v6]:port".  False when it is neither. */
bool config_split_address(const char *address, char *ret_host, size_t host_size,
                          uint16_t *ret_port);

#endif
