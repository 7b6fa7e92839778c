/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: what stands in the file, the environment and the arguments, and what comes of it. */
#include "server/config.h"

#include "tests/support/rows.h"

#include <stdio.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 8 };

struct row {
    const char *name;
    const char *file; /* NULL: none */
    const char *environment[4];
    const char *arguments[ARGUMENTS_MAX];
    const char *problems; /* all of them; FILE stands for the file's path.  "": none */
    const char *show;     /* a line that `config show` then has, without its origin */
};

static const struct row rows[] = {
    { "nothing at all is a safe single node", NULL, { 0 }, { 0 }, "", "http = 127.0.0.1:8098" },
    { "an empty file too", "", { 0 }, { 0 }, "", "engine = lsm" },
    { "a file sets", "[storage]\nsync = interval\n", { 0 }, { 0 }, "", "sync = interval" },
    { "a comment behind a value", "[node]\nzone = a ; rack a\n", { 0 }, { 0 }, "", "zone = a" },
    { "sizes have units", "[limits]\nvalue_size = 64MB\n", { 0 }, { 0 }, "", "value_size = 64MB" },
    { "a size in bytes",
      "[limits]\nvalue_size = 1048577\nvalue_size_warning=2048\n",
      { 0 },
      { 0 },
      "",
      "value_size = 1048577" },
    { "levels have words", "[quorum]\nw = all\n", { 0 }, { 0 }, "", "w = all" },
    { "the environment wins over the file",
      "[node]\nweight = 5\n",
      { "KVORUM_NODE__WEIGHT=6" },
      { 0 },
      "",
      "weight = 6" },
    { "a flag wins over the environment",
      NULL,
      { "KVORUM_NODE__WEIGHT=6" },
      { "--weight", "7" },
      "",
      "weight = 7" },
    { "a flag with =", NULL, { 0 }, { "--data-dir=/x/y" }, "", "data_dir = /x/y" },
    { "any option by its section and key",
      NULL,
      { 0 },
      { "--limits.pipeline", "9" },
      "",
      "pipeline = 9" },
    { "a switch needs no value",
      NULL,
      { 0 },
      { "--insecure", "--http", "0.0.0.0:80" },
      "",
      "http = 0.0.0.0:80" },
    { "a listener that is off", NULL, { 0 }, { "--resp", "off" }, "", "resp = off" },
    { "an IPv6 listener", NULL, { 0 }, { "--http", "[::1]:8098" }, "", "http = [::1]:8098" },
    { "the environment of others is not judged",
      NULL,
      { "KVORUM_HOME=/x", "PATH=/bin" },
      { 0 },
      "",
      "n = 3" },

    { "an unknown key, and the nearest",
      "[storage]\nsinc = never\n",
      { 0 },
      { 0 },
      "FILE:2: [storage] sinc is no option; the nearest is [storage] sync\n",
      NULL },
    { "a key of another section",
      "[node]\nsync = never\n",
      { 0 },
      { 0 },
      "FILE:2: [node] sync is no option; the nearest is [storage] sync\n",
      NULL },
    { "a key before any section",
      "sync = never\n",
      { 0 },
      { 0 },
      "FILE:1: [] sync is no option; the nearest is [storage] sync\n",
      NULL },
    { "a bad choice",
      "[storage]\nsync = sometimes\n",
      { 0 },
      { 0 },
      "FILE:2: [storage] sync: sometimes is not one of always|interval|never\n",
      NULL },
    { "a number out of range",
      "[node]\n\nweight = 0\n",
      { 0 },
      { 0 },
      "FILE:3: [node] weight: 0 is not a number from 1 to 10000\n",
      NULL },
    { "a number with a tail",
      "[node]\nweight = 10x\n",
      { 0 },
      { 0 },
      "FILE:2: [node] weight: 10x is not a number from 1 to 10000\n",
      NULL },
    { "a negative number",
      "[node]\nweight = -1\n",
      { 0 },
      { 0 },
      "FILE:2: [node] weight: -1 is not a number from 1 to 10000\n",
      NULL },
    { "a size beyond 64 bits",
      "[limits]\nvalue_size = 99999999999999GB\n",
      { 0 },
      { 0 },
      "FILE:2: [limits] value_size: 99999999999999GB is not a size from 1KB to 512MB\n",
      NULL },
    { "an address without a port",
      "[listen]\nhttp = localhost\n",
      { 0 },
      { 0 },
      "FILE:2: [listen] http: localhost is not HOST:PORT, or off\n",
      NULL },
    { "an IPv6 address without brackets",
      "[listen]\nhttp = ::1:80\n",
      { 0 },
      { 0 },
      "FILE:2: [listen] http: ::1:80 is not HOST:PORT, or off\n",
      NULL },
    { "a port beyond 65535",
      NULL,
      { 0 },
      { "--http", "127.0.0.1:65536" },
      "--http: [listen] http: 127.0.0.1:65536 is not HOST:PORT, or off\n",
      NULL },
    { "a name with a space",
      "[node]\nname = a b\n",
      { 0 },
      { 0 },
      "FILE:2: [node] name: a b is not 1 to 63 of letters, digits, - _ .\n",
      NULL },
    { "a line that is nothing",
      "[node]\nweight\n",
      { 0 },
      { 0 },
      "FILE:2: this is neither [section] nor key = value\n",
      NULL },
    { "a section that does not close",
      "[node\nweight = 3\n",
      { 0 },
      { 0 },
      "FILE:1: a section has no closing ]\n"
      "FILE:2: [] weight is no option; the nearest is [node] weight\n",
      NULL },
    { "an indented line is not part of the one above",
      "[node]\nname = a\n  zone = b\n",
      { 0 },
      { 0 },
      "",
      "zone = b" },
    { "all at once, from everywhere",
      "[storage]\nengine = rocks\nsinc = never\n[log]\nlevel = loud\n",
      { "KVORUM_NODE__WEIHGT=3" },
      { "--nmae", "x", "stray" },
      "FILE:2: [storage] engine: rocks is not one of lsm|memory\n"
      "FILE:3: [storage] sinc is no option; the nearest is [storage] sync\n"
      "FILE:5: [log] level: loud is not one of debug|info|warn|error|none\n"
      "KVORUM_NODE__WEIHGT: [node] weihgt is no option; the nearest is [node] weight\n"
      "--nmae: no such flag; the nearest is --name\n"
      "stray: this is not a flag; flags begin with --\n",
      NULL },
    { "a flag without its value", NULL, { 0 }, { "--name" }, "--name: a value is missing\n", NULL },

    { "beyond loopback",
      "[listen]\nhttp = 0.0.0.0:8098\n",
      { 0 },
      { 0 },
      "FILE:2: [listen] http: 0.0.0.0:8098 is not loopback, and there is neither TLS nor users "
      "yet; "
      "set insecure = yes to serve everyone who can reach it\n",
      NULL },
    { "one address twice",
      NULL,
      { 0 },
      { "--http", "127.0.0.1:6379" },
      "default: [listen] resp: 127.0.0.1:6379 is also [listen] http\n",
      NULL },
    { "port 0 may be everywhere",
      NULL,
      { 0 },
      { "--http", "127.0.0.1:0", "--resp", "127.0.0.1:0" },
      "",
      "http = 127.0.0.1:0" },
    { "a founder does not join",
      NULL,
      { 0 },
      { "--join", "127.0.0.1:1", "--founders", "3" },
      "command line: [node] founders: only the founder has it; leave it out where [node] join is "
      "set\n",
      NULL },
    { "a cluster needs peers",
      NULL,
      { 0 },
      { "--join", "127.0.0.1:1", "--peer", "off" },
      "command line: [listen] peer: a node of a cluster needs it\n",
      NULL },
    { "an address nobody can dial",
      NULL,
      { 0 },
      { "--insecure", "--peer", "0.0.0.0:9098" },
      "command line: [listen] peer: 0.0.0.0:9098 is no address others can dial; set [node] "
      "advertise\n",
      NULL },
    { "a quorum that can never be met",
      "[quorum]\nn = 3\nw = 4\n",
      { 0 },
      { 0 },
      "FILE:3: [quorum] w: 4 replicas can never answer where there are 3 (n)\n",
      NULL },
    { "a warning above its limit",
      NULL,
      { 0 },
      { "--limits.value_size", "1MB" },
      "default: [limits] value_size_warning: above value_size\n",
      NULL },
    { "moves at a snail's pace",
      NULL,
      { 0 },
      { "--handoff-rate", "10KB" },
      "command line: [cluster] handoff_rate: below 64KB a second a move would hardly end; 0 is no "
      "limit\n",
      NULL },
    { "a scrub that would never end",
      NULL,
      { 0 },
      { "--scrub.rate", "1KB" },
      "command line: [scrub] rate: below 64KB a second a pass would hardly end; 0 is no limit\n",
      NULL },
    { "scrubs without a pause",
      NULL,
      { 0 },
      { "--scrub.period_ms", "1000" },
      "command line: [scrub] period_ms: below 10 seconds a node would hardly do anything else; 0 "
      "is "
      "never\n",
      NULL },
    { "no scrubs", "[scrub]\nperiod_ms = 0\nrate = 0\n", { 0 }, { 0 }, "", "period_ms = 0" },
    { "moves at any pace", "[cluster]\nhandoff_rate = 0\n", { 0 }, { 0 }, "", "handoff_rate = 0" },
    { "a ring of a crooked size",
      NULL,
      { 0 },
      { "--partitions", "1000" },
      "command line: [node] partitions: not a power of two\n",
      NULL },
};

/* --- running a row ---------------------------------------------------------------------------- */

static void write_file(char *path, const char *content)
{
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, content, strlen(content)), (long)strlen(content));
    close(descriptor);
}

static void append_replaced(struct buffer *buffer, const char *text, const char *path)
{
    const char *at;
    while ((at = strstr(text, "FILE")) != NULL) {
        buffer_append(buffer, text, (size_t)(at - text));
        buffer_append_text(buffer, path);
        text = at + 4;
    }
    buffer_append_text(buffer, text);
    buffer_append_u8(buffer, 0);
}

static void check_show(const struct config *config, const char *line)
{
    struct buffer shown;
    buffer_init(&shown, 1 << 20);
    config_show(config, &shown);
    buffer_append_u8(&shown, 0);
    char with_origin[256], alone[256];
    snprintf(alone, sizeof(alone), "\n%s\n", line);
    snprintf(with_origin, sizeof(with_origin), "\n%s  ; ", line);
    bool found = strstr((char *)shown.data, alone) != NULL ||
                 strstr((char *)shown.data, with_origin) != NULL;
    if (!found)
        print_error("%s", (char *)shown.data);
    assert_true(found);
    buffer_done(&shown);
}

static void load_and_compare(const struct row *row, const char *path, int count,
                             char *const *arguments)
{
    struct config config;
    struct config_problems problems;
    struct buffer expected;
    config_problems_init(&problems);
    buffer_init(&expected, 1 << 16);
    append_replaced(&expected, row->problems, path);
    bool loaded =
        config_load(&config, count, arguments, (char *const *)row->environment, &problems);
    buffer_append_u8(&problems.text, 0);
    assert_string_equal((char *)problems.text.data, (char *)expected.data);
    assert_int_equal(loaded, row->problems[0] == '\0');
    if (row->show != NULL)
        check_show(&config, row->show);
    buffer_done(&expected);
    config_problems_done(&problems);
}

static void check(const void *context)
{
    const struct row *row = context;
    char path[] = "/tmp/kvorum-config-XXXXXX", flag[] = "--config";
    char *arguments[ARGUMENTS_MAX + 2];
    int count = 0;
    if (row->file != NULL) {
        write_file(path, row->file);
        arguments[count++] = flag;
        arguments[count++] = path;
    }
    for (int i = 0; i < ARGUMENTS_MAX && row->arguments[i] != NULL; i++)
        arguments[count++] = (char *)row->arguments[i];
    load_and_compare(row, path, count, arguments);
    unlink(path);
}

/* --- the table as a whole --------------------------------------------------------------------- */

static void check_missing_file(void **state)
{
    (void)state;
    char flag[] = "--config=/nonexistent/kvorum.conf";
    char *arguments[] = { flag };
    struct config config;
    struct config_problems problems;
    config_problems_init(&problems);
    assert_false(config_load(&config, 1, arguments, NULL, &problems));
    buffer_append_u8(&problems.text, 0);
    assert_string_equal((char *)problems.text.data,
                        "/nonexistent/kvorum.conf: No such file or directory\n");
    config_problems_done(&problems);
}

/* What is shown can be read again and is then the same. */
static void check_round_trip(void **state)
{
    (void)state;
    struct config config, again;
    config_init(&config);
    char scratch[320];
    assert_null(config_set(&config, config_find("storage", "memory_limit"), "3GB", scratch,
                           sizeof(scratch)));
    struct buffer shown;
    buffer_init(&shown, 1 << 20);
    config_show(&config, &shown);
    buffer_append_u8(&shown, 0);
    char path[] = "/tmp/kvorum-config-XXXXXX";
    write_file(path, (char *)shown.data);
    struct config_problems problems;
    config_problems_init(&problems);
    config_init(&again);
    config_read_file(&again, path, &problems);
    assert_int_equal(problems.count, 0);
    assert_int_equal(again.memory_limit, UINT64_C(3) << 30);
    memset(again.origins, 0, sizeof(again.origins));
    memset(again.file, 0, sizeof(again.file));
    assert_memory_equal(&again, &config, sizeof(config));
    unlink(path);
    config_problems_done(&problems);
    buffer_done(&shown);
}

static void check_documented(void **state)
{
    (void)state;
    static char text[1 << 16];
    const char path[] = "docs/operations/configuration.md";
    struct buffer reference;
    buffer_init(&reference, sizeof(text));
    config_reference(&reference);
    buffer_append_u8(&reference, 0);
    FILE *file = fopen(path, getenv("KVORUM_WRITE_GOLDEN") != NULL ? "a+" : "r");
    assert_non_null(file);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    const char *tables = strstr(text, "\n## [");
    if (tables != NULL) {
        assert_string_equal(tables, (char *)reference.data);
    } else {
        fseek(file, 0, SEEK_END);
        fputs((char *)reference.data, file);
    }
    fclose(file);
    assert_non_null(tables);
    buffer_done(&reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_missing_file),
        cmocka_unit_test(check_round_trip),
        cmocka_unit_test(check_documented),
    };
    int failed = cmocka_run_group_tests_name("config", tests, NULL, NULL);
    return failed + RUN_ROWS("config rows", rows, check);
}
