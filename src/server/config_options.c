/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options.  What follows from their kinds is in config_kinds.c. */
#include "server/config.h"

#include "cluster/replication/quorum.h"
#include "cluster/ring/ring.h"

#include <assert.h>

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
