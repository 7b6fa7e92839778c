/* SPDX-License-Identifier: Apache-2.0 */
/* The whole surface of the command line, as data. */
#include "cli/command_table.h"

#include <string.h>

#include "cli/commands.h"
#include "cli/server_command.h"

enum { MS_MAX = 3600 * 1000, COUNT_MAX = 1000000000 };

#define FLAG(n, text)                                                                              \
    {                                                                                              \
        .name = (n), .kind = OPTION_FLAG, .help = (text)                                           \
    }
#define TEXT(n, arg, text)                                                                         \
    {                                                                                              \
        .name = (n), .kind = OPTION_TEXT, .argument = (arg), .help = (text)                        \
    }
#define LEVEL(n, text)                                                                             \
    {                                                                                              \
        .name = (n), .kind = OPTION_LEVEL, .argument = "LEVEL", .help = (text)                     \
    }
#define NUMBER(n, arg, low, high, standard, text)                                                  \
    {                                                                                              \
        .name = (n), .kind = OPTION_NUMBER, .argument = (arg), .minimum = (low),                   \
        .maximum = (high), .fallback = (standard), .help = (text)                                  \
    }
#define CHOICE(n, words, standard, text)                                                           \
    {                                                                                              \
        .name = (n), .kind = OPTION_CHOICE, .argument = (words), .fallback = (standard),           \
        .help = (text)                                                                             \
    }

#define NODE                                                                                       \
    {                                                                                              \
        .name = "node", .kind = OPTION_NODES, .argument = "ADDR:PORT",                             \
        .fallback = "127.0.0.1:8098", .environment = "KVORUM_NODE",                                \
        .help = "HTTP address of any node of the cluster"                                          \
    }
#define NODES                                                                                      \
    {                                                                                              \
        .name = "node", .kind = OPTION_NODES, .argument = "ADDR:PORT,...",                         \
        .fallback = "127.0.0.1:8098", .environment = "KVORUM_NODE",                                \
        .help = "HTTP addresses of nodes; work is spread over them"                                \
    }
#define OUTPUT(standard)                                                                           \
    {                                                                                              \
        .name = "output", .letter = 'o', .kind = OPTION_CHOICE,                                    \
        .argument = "table|json|csv|plain", .fallback = (standard), .help = "How to print"         \
    }
#define OUTPUT_OR_JSON                                                                             \
    {                                                                                              \
        .name = "output", .letter = 'o', .kind = OPTION_CHOICE, .argument = "plain|json",          \
        .fallback = "plain", .help = "How to print"                                                \
    }
#define TYPE TEXT("type", "TYPE", "Bucket type; without it the default type")
#define TIMEOUT                                                                                    \
    NUMBER("timeout", "MS", 1, MS_MAX, "10000", "How long a request may take, milliseconds")
#define READ_LEVELS                                                                                \
    LEVEL("r", "Replicas that must answer"),                                                       \
        LEVEL("pr", "Of them, how many must be owners of the key, no stand-ins")
#define WRITE_LEVELS                                                                               \
    LEVEL("w", "Replicas that must have the write"),                                               \
        LEVEL("dw", "Replicas that must have it on disk"),                                         \
        LEVEL("pw", "Of them, how many must be owners of the key, no stand-ins")
#define CONTEXT                                                                                    \
    TEXT("context", "CONTEXT", "What was seen: the write replaces that and nothing else")
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

static const struct option get_options[] = {
    NODE,
    OUTPUT("plain"),
    FLAG("show-context", "Print the context of the value on standard error"),
    READ_LEVELS,
    TYPE,
    TIMEOUT,
    END,
};

static const struct option put_options[] = {
    NODE,
    OUTPUT_OR_JSON,
    { .name = "content-type",
      .kind = OPTION_TEXT,
      .argument = "TYPE",
      .fallback = "text/plain",
      .help = "Media type of the value" },
    CONTEXT,
    TEXT("file", "FILE", "Read the value from a file"),
    FLAG("if-absent", "Write only if there is no value; otherwise exit with 7"),
    WRITE_LEVELS,
    TYPE,
    TIMEOUT,
    END,
};

static const struct option del_options[] = { NODE,         OUTPUT_OR_JSON, CONTEXT, READ_LEVELS,
                                             WRITE_LEVELS, TYPE,           TIMEOUT, END };

static const struct option list_options[] = {
    NODE, OUTPUT("plain"), NUMBER("limit", "COUNT", 1, INT64_MAX, NULL, "Stop after so many"),
    TYPE, TIMEOUT,         END,
};

static const struct option status_options[] = { NODE, OUTPUT("table"), TIMEOUT, END };

static const struct option cluster_options[] = { NODE, OUTPUT("table"), TIMEOUT, END };
static const struct option cluster_commit_options[] = {
    NODE,
    OUTPUT("table"),
    NUMBER("epoch", "NUMBER", 1, INT64_MAX, NULL,
           "Only if this is still the epoch that the plan was made for"),
    FLAG("allow-zone-loss", "Also where copies will then be in fewer zones than they are now"),
    FLAG("no-wait", "Do not show how the partitions move (nor with -o other than table)"),
    TIMEOUT,
    END,
};

static const struct option cluster_recover_options[] = {
    NODE,
    { .name = "lost",
      .kind = OPTION_TEXT,
      .argument = "NODES",
      .help = "Names of all nodes that are lost for good, with commas between them" },
    FLAG("switched-off", "You know that every lost node is switched off, or wiped"),
    FLAG("yes", "Do it; else the plan is shown, and nothing is changed"),
    NUMBER("epoch", "NUMBER", 1, INT64_MAX, NULL,
           "Only if this is still the epoch that the plan was made for"),
    OUTPUT("table"),
    TIMEOUT,
    END,
};

static const char cluster_recover_details[] =
    "For the case that more than half of the voters are lost, and nothing of the cluster can be\n"
    "changed any more.  Everybody who is left must answer and agree; who is lost is no member\n"
    "afterwards, for ever: should it come back, it is told so and serves nothing.  What only the\n"
    "lost ones had is lost; the plan says in how many partitions that may be, and warns of what\n"
    "will not work afterwards: copies and levels of buckets that too few nodes are left for.\n"
    "\n"
    "Refused with the reason, and exit 8, while a majority of the voters answers, when somebody\n"
    "neither answers nor is named as lost, when somebody is named and answers, and when fewer "
    "than\n"
    "half of the nodes are left, unless you know by other means that the others are\n"
    "--switched-off: two halves that are each recovered without the other are two clusters.\n"
    "\n"
    "Interrupted, or answered with \"outcome unknown\": give the same command again.\n"
    "\n"
    "  kvorum cluster recover --lost n1,n2,n3\n"
    "  kvorum cluster recover --lost n1,n2,n3 --switched-off --yes";

static const struct option repair_options[] = {
    NODE,
    { .name = "bucket",
      .letter = 'b',
      .kind = OPTION_TEXT,
      .argument = "BUCKET",
      .help = "Only the keys of this bucket" },
    TYPE,
    OUTPUT("plain"),
    TIMEOUT,
    END,
};

static const struct option tasks_options[] = { NODE, OUTPUT("table"), TIMEOUT, END };
static const struct option tasks_list_options[] = {
    NODE, OUTPUT("table"), FLAG("all", "Also what is idle or goes on by itself"), TIMEOUT, END,
};
static const struct option tasks_wait_options[] = {
    NODE,
    OUTPUT("table"),
    NUMBER("seconds", "COUNT", 1, 86400 * 365, NULL, "Give up after so long, with exit 5"),
    TIMEOUT,
    END,
};

static const char tasks_details[] =
    "Background work of all nodes: move, partitions that a node takes in; repair, comparisons\n"
    "that somebody asked it for; hints, writes that it kept for others and delivers; reclaim, the\n"
    "room of dropped buckets; and what always goes on: compare, each pair of replicas within the\n"
    "hour; scrub, all files in turn.\n"
    "TASK is NODE/KIND, as n6/move, or KIND: that of every node.  Pauses and limits outlive a\n"
    "restart of the node.";
static const char tasks_status_details[] =
    "Exit 1: something is stalled, failed or was cancelled, or a node did not answer.";
static const char tasks_wait_details[] =
    "Until nothing of it is under way, with its progress on standard error.  Exit 1 as in status.\n"
    "Without TASK: of move, repair and hints.  compare never ends.\n"
    "Interrupting the command interrupts nothing else.";
static const char tasks_cancel_details[] =
    "A repair is given up: the pairs that are left count as failed.  A move that was committed is\n"
    "not given up (exit 8): partitions under way already take their writes in both places.";
static const struct command tasks_commands[] = {
    { "list", "", "Show what is under way, and what ended last", NULL, tasks_list_options, 0, 0,
      command_tasks_list, NULL, NULL },
    { "status", "TASK", "Show one", tasks_status_details, tasks_options, 1, 1, command_tasks_status,
      NULL, NULL },
    { "wait", "[TASK]", "Wait until it is over", tasks_wait_details, tasks_wait_options, 0, 1,
      command_tasks_wait, NULL, NULL },
    { "pause", "TASK", "Let it stand still", NULL, tasks_options, 1, 1, command_tasks_pause, NULL,
      NULL },
    { "resume", "TASK", "Let it go on", NULL, tasks_options, 1, 1, command_tasks_resume, NULL,
      NULL },
    { "limit", "TASK RATE", "Bytes a second from now on, as 10MB; none: no limit", NULL,
      tasks_options, 2, 2, command_tasks_limit, NULL, NULL },
    { "cancel", "TASK", "Give it up, where that is safe", tasks_cancel_details, tasks_options, 1, 1,
      command_tasks_cancel, NULL, NULL },
    { .name = NULL },
};

static const struct option bucket_drop_options[] = {
    NODE, FLAG("yes", "Do not ask"), OUTPUT("plain"), TYPE, TIMEOUT, END,
};

static const char bucket_drop_details[] =
    "Takes the same time for ten keys and for ten million; what is still stored is given back in\n"
    "the background, as the task reclaim.  The bucket keeps its properties and can be used at "
    "once.\n"
    "Needs a majority of the nodes.  Asks for the bucket's name on a terminal; elsewhere --yes is\n"
    "needed.";
static const struct command bucket_commands[] = {
    { "drop", "BUCKET", "Drop all values of a bucket, on all nodes, for good", bucket_drop_details,
      bucket_drop_options, 1, 1, command_bucket_drop, NULL, NULL },
    { .name = NULL },
};

static const struct option scrub_options[] = {
    NODE,
    FLAG("wait", "Until all is read, and what was lost is refilled"),
    FLAG("accept", "Read nothing: give up the keys that are lost, and no other node owns"),
    OUTPUT("plain"),
    TIMEOUT,
    END,
};

static const char cluster_details[] =
    "Changes are staged, which moves nothing; plan shows what they would do together; commit does\n"
    "it, and clear forgets them.  A plan under which something acknowledged could be lost is\n"
    "refused with the reason, and the command ends with 8.  A node joins by starting with\n"
    "--join ADDR:PORT of any member; it is then listed as joining, and its join is staged.\n"
    "\n"
    "  kvorum server --data-dir n6 --join 127.0.0.1:9098\n"
    "  kvorum cluster plan\n"
    "  kvorum cluster commit";

static const struct command cluster_commands[] = {
    { "status", "", "Show members, votes, and what is staged or moves", NULL, cluster_options, 0, 0,
      command_cluster_status, NULL, NULL },
    { "plan", "", "Show what a commit would do, and what failures are survived meanwhile", NULL,
      cluster_options, 0, 0, command_cluster_plan, NULL, NULL },
    { "commit", "", "Carry out what is staged, and show how partitions move", NULL,
      cluster_commit_options, 0, 0, command_cluster_commit, NULL, NULL },
    { "clear", "", "Forget what is staged", NULL, cluster_options, 0, 0, command_cluster_clear,
      NULL, NULL },
    { "join", "NODE", "Stage: a joining node gets its share", NULL, cluster_options, 1, 1,
      command_cluster_join, NULL, NULL },
    { "leave", "NODE", "Stage: a node gives its partitions away and goes", NULL, cluster_options, 1,
      1, command_cluster_leave, NULL, NULL },
    { "remove", "NODE", "Stage: a node is lost; others rebuild its partitions", NULL,
      cluster_options, 1, 1, command_cluster_remove, NULL, NULL },
    { "replace", "NODE NEW-NODE", "Stage: a joining node takes a lost one's place", NULL,
      cluster_options, 2, 2, command_cluster_replace, NULL, NULL },
    { "weight", "NODE WEIGHT", "Stage: another weight, 1 to 10000; 100 is usual", NULL,
      cluster_options, 2, 2, command_cluster_weight, NULL, NULL },
    { "zone", "NODE ZONE", "Stage: a node stands in another zone", NULL, cluster_options, 2, 2,
      command_cluster_zone, NULL, NULL },
    { "recover", "", "Go on without a majority of the voters, who are lost for good",
      cluster_recover_details, cluster_recover_options, 0, 0, command_cluster_recover, NULL, NULL },
    { .name = NULL },
};

static const struct option import_options[] = {
    NODES,
    { .name = "bucket",
      .letter = 'b',
      .kind = OPTION_TEXT,
      .argument = "BUCKET",
      .help = "Where the records go (needed)" },
    OUTPUT_OR_JSON,
    CHOICE("format", "jsonl|deb822|export", "jsonl",
           "One JSON object a line; Debian control records; or what export wrote"),
    TEXT("key-field", "FIELD", "Field that holds the key; deb822: Package, export: key"),
    TEXT("content-type", "TYPE", "Media type of the values; by the format"),
    FLAG("verify", "Read each record back and compare"),
    NUMBER("connections", "COUNT", 1, 256, "32", "Connections, spread over the nodes"),
    NUMBER("pipeline", "COUNT", 1, 256, "4", "Requests under way on each connection"),
    NUMBER("retry", "SECONDS", 0, 86400, "60", "How long a record is tried again"),
    WRITE_LEVELS,
    TYPE,
    TIMEOUT,
    END,
};

static const struct option export_options[] = {
    NODES,
    TEXT("file", "FILE", "Write to a file instead of standard output"),
    CHOICE("values", "auto|text|base64", "auto",
           "auto: text where it is UTF-8, base64 elsewhere; text: refuse what is not"),
    NUMBER("connections", "COUNT", 1, 256, "32", "Connections, spread over the nodes"),
    NUMBER("pipeline", "COUNT", 1, 256, "4", "Requests under way on each connection"),
    NUMBER("retry", "SECONDS", 0, 86400, "60", "How long a key is tried again"),
    READ_LEVELS,
    TYPE,
    TIMEOUT,
    END,
};

static const struct option bench_options[] = {
    { .name = "node",
      .kind = OPTION_NODES,
      .argument = "ADDR:PORT,...",
      .help = "Nodes to load; default 127.0.0.1:6379 for resp, 127.0.0.1:8098 for http" },
    OUTPUT("table"),
    CHOICE("protocol", "resp|http", "resp", "What to speak"),
    { .name = "mix",
      .kind = OPTION_TEXT,
      .argument = "GET:SET",
      .fallback = "90:10",
      .help = "How many reads to how many writes" },
    NUMBER("keys", "COUNT", 1, COUNT_MAX, "100000", "Different keys"),
    CHOICE("distribution", "uniform|zipf|sequential", "uniform", "How keys are drawn"),
    NUMBER("value-size", "BYTES", 0, 64 << 20, "100", "Size of the values written"),
    NUMBER("clients", "COUNT", 1, 10000, "50", "Connections"),
    NUMBER("pipeline", "COUNT", 1, 1024, "1", "Requests under way on each connection"),
    NUMBER("threads", "COUNT", 1, 64, "1", "Threads that generate the load"),
    NUMBER("seconds", "COUNT", 1, 86400, NULL, "How long; 10 unless --requests is given"),
    NUMBER("requests", "COUNT", 1, INT64_MAX, NULL, "Stop after so many"),
    NUMBER("seed", "NUMBER", 0, INT64_MAX, "1", "Of the random keys"),
    TEXT("bucket", "BUCKET", "http: the bucket; default bench"),
    LEVEL("r", "http: replicas that must answer a read"),
    LEVEL("w", "http: replicas that must have a write"),
    END,
};

#define DEMO_DIR                                                                                   \
    {                                                                                              \
        .name = "dir", .kind = OPTION_TEXT, .argument = "DIR", .fallback = "data/demo",            \
        .help = "Where the cluster keeps its data and logs"                                        \
    }
#define DEMO_SIZE                                                                                  \
    NUMBER("nodes", "COUNT", 1, 9, NULL, "How many nodes a new cluster has; 5"),                   \
        NUMBER("port-offset", "PORTS", 0, 50000, NULL, "Move all ports of all nodes up")

static const struct option demo_start_options[] = { DEMO_DIR, DEMO_SIZE, END };
static const struct option demo_options[] = { DEMO_DIR, END };
static const struct option demo_status_options[] = { DEMO_DIR, OUTPUT("table"), END };
static const struct option demo_run_options[] = {
    DEMO_DIR,
    DEMO_SIZE,
    TEXT("source", "FILE", "Debian control records to load; default: this machine's package index"),
    FLAG("again", "Load the records and show the failure again, though both were done before"),
    { .name = "exit-after-report",
      .kind = OPTION_FLAG,
      .hidden = true,
      .help = "Stop the nodes and end instead of staying" },
    END,
};

static const struct option config_options_here[] = {
    TEXT("config", "FILE", "The file; default kvorum.conf, if it is there"),
    OUTPUT_OR_JSON,
    END,
};
static const struct option version_options[] = { OUTPUT_OR_JSON, END };
static const struct option none[] = { END };

#define STORE_OUTPUT(standard)                                                                     \
    {                                                                                              \
        .name = "output", .letter = 'o', .kind = OPTION_CHOICE, .argument = "table|json|plain",    \
        .fallback = (standard), .help = "How to print"                                             \
    }
#define ESCAPED                                                                                    \
    FLAG("escaped", "Keys and values given here are escaped, as scan prints them: \\xHH, \\\\, "   \
                    "\\n")

static const struct option store_create_options[] = {
    CHOICE("engine", "lsm", "lsm", "What keeps the data"),
    END,
};
static const struct option store_put_options[] = { ESCAPED, END };
static const struct option store_get_options[] = { STORE_OUTPUT("plain"), ESCAPED, END };
static const struct option store_scan_options[] = {
    STORE_OUTPUT("table"),
    TEXT("prefix", "PREFIX", "Only keys that begin with it"),
    TEXT("from", "KEY", "Begin with this key, or the next one"),
    TEXT("to", "KEY", "End before this key"),
    NUMBER("limit", "COUNT", 1, INT64_MAX, NULL, "Stop after so many"),
    FLAG("keys", "Print no values"),
    FLAG("reverse", "From the last key to the first"),
    ESCAPED,
    END,
};
static const struct option store_print_options[] = { STORE_OUTPUT("table"), END };
static const struct option store_dump_options[] = {
    TEXT("file", "FILE", "Write to a file instead of standard output"),
    END,
};

static const char store_details[] =
    "These commands open the files of a store that no process has open: one of the embedded\n"
    "library, or a store-N folder of a stopped node.  Another process that has it makes them end\n"
    "with 7, damage with 70, a folder that holds something else with 8.\n"
    "\n"
    "  kvorum store create pets\n"
    "  kvorum store put pets cat meow\n"
    "  kvorum store scan pets --prefix c";
static const char store_put_details[] =
    "VALUE - is standard input.  On disk when the command ends.";
static const char store_get_details[] =
    "plain: the value to standard output as it is; table: escaped, and cut when it is long; json:\n"
    "one object with key and value, or key_base64 and value_base64 where they are no UTF-8.";
static const char store_scan_details[] =
    "table: key, size and value, escaped, and cut when they are long.  plain: key, tab, value,\n"
    "escaped and whole, one a line.  json: one object a line with key and value, or key_base64 "
    "and\n"
    "value_base64 where they are no UTF-8.  Escaped is: \\\\ \\n \\r \\t, and \\xHH for bytes that "
    "are\n"
    "no printable UTF-8.";
static const char store_verify_details[] =
    "Exit 0: all bytes are as they were written; 1: damage was found and is listed.";
static const char store_salvage_details[] =
    "PATH stays as it is.  Exit 0: nothing was lost; 1: something was, and the places are listed.";

static const struct command store_commands[] = {
    { "create", "PATH", "Make an empty store", NULL, store_create_options, 1, 1,
      command_store_create, NULL, NULL },
    { "put", "PATH KEY VALUE", "Write a value", store_put_details, store_put_options, 3, 3,
      command_store_put, NULL, NULL },
    { "get", "PATH KEY", "Print a value", store_get_details, store_get_options, 2, 2,
      command_store_get, NULL, NULL },
    { "delete", "PATH KEY", "Delete a key; exit 1 when there is none", NULL, store_put_options, 2,
      2, command_store_delete, NULL, NULL },
    { "scan", "PATH", "Print keys and values in order", store_scan_details, store_scan_options, 1,
      1, command_store_scan, NULL, NULL },
    { "inspect", "PATH", "Show what the store is made of", NULL, store_print_options, 1, 1,
      command_store_inspect, NULL, NULL },
    { "verify", "PATH", "Read everything and check it", store_verify_details, store_print_options,
      1, 1, command_store_verify, NULL, NULL },
    { "dump", "PATH", "Print all records as JSON lines, as scan -o json does", NULL,
      store_dump_options, 1, 1, command_store_dump, NULL, NULL },
    { "compact", "PATH", "Rewrite the files without what was deleted or overwritten", NULL, none, 1,
      1, command_store_compact, NULL, NULL },
    { "salvage", "PATH NEW-PATH", "Copy all that is intact to a new store", store_salvage_details,
      store_print_options, 2, 2, command_store_salvage, NULL, NULL },
    { .name = NULL },
};

static const struct command demo_commands[] = {
    { "run", "", "Start five nodes, load real data, survive a failure; stay until Ctrl-C", NULL,
      demo_run_options, 0, 0, command_demo_run, NULL, NULL },
    { "start", "[NODE]", "Start the cluster, or one node of it", NULL, demo_start_options, 0, 1,
      command_demo_start, NULL, NULL },
    { "kill", "NODE", "End a node at once, as a power failure does (SIGKILL)", NULL, demo_options,
      1, 1, command_demo_kill, NULL, NULL },
    { "pause", "NODE", "Stop a node in its tracks (SIGSTOP)", NULL, demo_options, 1, 1,
      command_demo_pause, NULL, NULL },
    { "resume", "NODE", "Let a paused node go on", NULL, demo_options, 1, 1, command_demo_resume,
      NULL, NULL },
    { "stop", "[NODE]", "Stop the cluster, or one node of it, cleanly", NULL, demo_options, 0, 1,
      command_demo_stop, NULL, NULL },
    { "status", "", "Show the processes and the health of the cluster", NULL, demo_status_options,
      0, 0, command_demo_status, NULL, NULL },
    { .name = NULL },
};

static const struct command config_commands[] = {
    { "check", "", "Read the configuration and tell all problems at once", NULL,
      config_options_here, 0, 0, command_config_check, NULL, NULL },
    { "show", "", "Print the configuration in force and where each value came from", NULL,
      config_options_here, 0, 0, command_config_show, NULL, NULL },
    { .name = NULL },
};

static const char get_details[] =
    "The value goes to standard output as it is.  A key with concurrent values shows them all.";
static const char put_details[] =
    "VALUE - is standard input.  Write BUCKET/KEY, or BUCKET KEY where a bucket holds a slash.";
static const char repair_details[] =
    "Nodes do this by themselves, within the hour, and at once where they suspect a difference.\n"
    "Only the objects that differ travel.  Exit 1 when some pairs could not be compared.  The "
    "node\n"
    "goes on when the command is interrupted.";
static const char scrub_details[] =
    "Nodes do this by themselves, every [scrub] period_ms (14 days).  What is lost with a damaged\n"
    "block is fetched from the other owners; until all of them were asked, the node gives no\n"
    "answer about those keys.  Keys that no other node owns (n=1) cannot be fetched: reads of "
    "them\n"
    "fail until --accept gives them up.  Exit 1 when something is lost or still in doubt.  The\n"
    "node goes on when the command is interrupted.";
static const char import_details[] =
    "FILE - or none is standard input.  Values are the records as they stand in the source.\n"
    "Records that cannot be written are tried again, then named; none is skipped silently.\n"
    "--format export restores keys byte for byte, with content type, metadata, indexes and links;\n"
    "keys with siblings need a bucket with allow_mult.  What the keys hold before is replaced.";
static const char export_details[] = "One JSON object a line: key, content_type, headers where "
                                     "there are any, and value; siblings in\n"
                                     "place of these where there are several.  What is no UTF-8 is "
                                     "under key_base64 or value_base64.\n"
                                     "kvorum import --format export reads it back.";
static const char demo_details[] =
    "NODE is 1, 2, ... or n1, n2, ...  Node k listens on HTTP 8098, RESP 6379, protocol buffers\n"
    "8087 and for its peers on 9098, each plus 100 * (k - 1).";

const struct command command_table[] = {
    { "server", "", "Run a node", NULL, NULL, 0, 0, NULL, NULL, command_server },
    { "get", "BUCKET/KEY", "Print a value", get_details, get_options, 1, 2, command_get, NULL,
      NULL },
    { "put", "BUCKET/KEY VALUE", "Write a value", put_details, put_options, 1, 3, command_put, NULL,
      NULL },
    { "del", "BUCKET/KEY", "Delete a key", NULL, del_options, 1, 2, command_del, NULL, NULL },
    { "list", "[BUCKET]", "List buckets, or the keys of one", NULL, list_options, 0, 1,
      command_list, NULL, NULL },
    { "bucket", "COMMAND", "What is done to a whole bucket", NULL, NULL, 0, 0, NULL,
      bucket_commands, NULL },
    { "status", "", "Show the health of the cluster; exit 1 when it is not healthy", NULL,
      status_options, 0, 0, command_status, NULL, NULL },
    { "cluster", "COMMAND", "Show and change what the cluster is made of", cluster_details, NULL, 0,
      0, NULL, cluster_commands, NULL },
    { "tasks", "COMMAND", "Watch and steer background work: moves, repairs, hints, room",
      tasks_details, NULL, 0, 0, NULL, tasks_commands, NULL },
    { "repair", "", "Compare a node's replicas with the others and mend them", repair_details,
      repair_options, 0, 0, command_repair, NULL, NULL },
    { "scrub", "", "Have a node read and check all its files", scrub_details, scrub_options, 0, 0,
      command_scrub, NULL, NULL },
    { "import", "[FILE]", "Write many records", import_details, import_options, 0, 1,
      command_import, NULL, NULL },
    { "export", "BUCKET", "Print all records of a bucket as JSON lines", export_details,
      export_options, 1, 1, command_export, NULL, NULL },
    { "demo", "COMMAND", "A local cluster of real processes", demo_details, NULL, 0, 0, NULL,
      demo_commands, NULL },
    { "bench", "", "Load a node or a cluster and measure it", NULL, bench_options, 0, 0,
      command_bench, NULL, NULL },
    { "store", "COMMAND", "Read, write and repair a store's files, offline", store_details, NULL, 0,
      0, NULL, store_commands, NULL },
    { "config", "COMMAND", "Check or show a node's configuration", NULL, NULL, 0, 0, NULL,
      config_commands, NULL },
    { "completion", "bash|zsh", "Print the completion script of a shell", NULL, none, 1, 1,
      command_completion, NULL, NULL },
    { "version", "", "Print the version", NULL, version_options, 0, 0, command_version, NULL,
      NULL },
    { "help", "[COMMAND]", "Explain a command", NULL, none, 0, 2, command_help, NULL, NULL },
    { .name = NULL },
};

const struct command *command_find(const struct command *commands, const char *name)
{
    for (const struct command *c = commands; c != NULL && c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}
