/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in, bytes out, against a fake node.  Each row runs whole and byte by byte, with answers
 * given at once, late in order, and late in the reverse order: the replies must always be the
 * same. */
#include "server/protocol/resp/internal.h"
#include "tests/support/fake_connection.h"
#include "tests/support/rows.h"

struct row {
    const char *name, *input, *expected;
    bool finished; /* the connection is closed behind the replies */
};

#define OK_ "+OK\r\n"
#define NIL "$-1\r\n"

static const struct row rows[] = {
    { "PING", "PING\r\n", "+PONG\r\n", false },
    { "PING as multibulk, in any case", "*1\r\n$4\r\npInG\r\n", "+PONG\r\n", false },
    { "PING gives its argument back", "PING hello\r\n", "$5\r\nhello\r\n", false },
    { "PING with too much", "PING a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n",
      false },
    { "ECHO", "ECHO \"a b\"\r\n", "$3\r\na b\r\n", false },
    { "an absent key is nil", "GET nothing\r\n", NIL, false },
    { "what was set is got", "SET k value\r\nGET k\r\n", OK_ "$5\r\nvalue\r\n", false },
    { "a key and a value of any bytes", "*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$3\r\n\0\r\n\r\n",
      NULL, false },
    { "an empty value is not nil", "SET k \"\"\r\nGET k\r\n", OK_ "$0\r\n\r\n", false },
    { "the last SET of a pipeline wins", "SET k 1\r\nSET k 2\r\nGET k\r\n", OK_ OK_ "$1\r\n2\r\n",
      false },
    { "a read never misses the write ahead of it",
      "SET a 1\r\nGET a\r\nSET a 2\r\nGET a\r\nDEL a\r\nGET a\r\nSET a 3\r\nGET a\r\n",
      OK_ "$1\r\n1\r\n" OK_ "$1\r\n2\r\n:1\r\n" NIL OK_ "$1\r\n3\r\n", false },
    { "replies of a pipeline are in order",
      "SET a 1\r\nPING\r\nGET b\r\nECHO x\r\nGET c\r\nSET d 2\r\nPING\r\n",
      OK_ "+PONG\r\n" NIL "$1\r\nx\r\n" NIL OK_ "+PONG\r\n", false },
    { "DEL counts what was there", "SET a 1\r\nDEL a\r\nDEL a\r\n", OK_ ":1\r\n:0\r\n", false },
    { "DEL of many", "SET a 1\r\nSET b 2\r\nDEL a b c\r\nGET a\r\n", OK_ OK_ ":2\r\n" NIL, false },
    { "EXISTS counts", "SET a 1\r\nEXISTS a\r\nEXISTS b\r\nEXISTS a a b\r\n",
      OK_ ":1\r\n:0\r\n:2\r\n", false },
    { "MGET in the order of its keys", "SET a 1\r\nSET c 3\r\nMGET c b a c\r\n",
      OK_ OK_ "*4\r\n$1\r\n3\r\n" NIL "$1\r\n1\r\n$1\r\n3\r\n", false },
    { "MSET, then MGET in the same pipeline", "MSET a 1 b 2 c 3\r\nMGET a b c\r\n",
      OK_ "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n", false },
    { "MSET of one key twice keeps the last", "MSET a 1 a 2\r\nGET a\r\n", OK_ "$1\r\n2\r\n",
      false },
    { "MSET with half a pair", "MSET a 1 b\r\n",
      "-ERR wrong number of arguments for 'mset' command\r\n", false },
    { "an error in MGET is the whole reply", "SET a 1\r\nMGET a fail-UNAVAILABLE a\r\nPING\r\n",
      OK_ "-UNAVAILABLE why, and what next\r\n+PONG\r\n", false },
    { "an error in MSET is the whole reply", "MSET a 1 fail-TIMEOUT 2\r\n",
      "-TIMEOUT why, and what next\r\n", false },
    { "a failed GET", "GET fail-TIMEOUT\r\nPING\r\n", "-TIMEOUT why, and what next\r\n+PONG\r\n",
      false },
    { "a failed SET", "SET fail-UNAVAILABLE 1\r\n", "-UNAVAILABLE why, and what next\r\n", false },
    { "a value too large for the cluster", "SET fail-TOO_LARGE 1\r\n",
      "-TOOBIG why, and what next\r\n", false },
    { "a full disk", "SET fail-NO_SPACE 1\r\n", "-IOERR why, and what next\r\n", false },
    { "a full store", "SET fail-STORE_FULL 1\r\n", "-OOM why, and what next\r\n", false },
    { "an overloaded node", "GET fail-OVERLOADED\r\n", "-TRYAGAIN why, and what next\r\n", false },
    { "a node that is starting", "GET fail-NOT_READY\r\n", "-LOADING why, and what next\r\n",
      false },
    { "a failed DEL", "DEL fail-TIMEOUT\r\n", "-TIMEOUT why, and what next\r\n", false },
    { "SET with nx is refused before anything is written", "SET k v nx\r\nGET k\r\n",
      "-ERR the option NX of SET is not supported yet; nothing was written\r\n" NIL, false },
    { "SET with EX", "SET k v EX 10\r\nTTL k\r\nPTTL k\r\n", OK_ ":10\r\n:10000\r\n", false },
    { "SET with px", "SET k v px 1499\r\nTTL k\r\nPTTL k\r\n", OK_ ":1\r\n:1499\r\n", false },
    { "SET with EXAT", "SET k v EXAT 1700000060\r\nTTL k\r\nEXPIRETIME k\r\n",
      OK_ ":60\r\n:1700000060\r\n", false },
    { "SET with PXAT", "SET k v PXAT 1700000000250\r\nPTTL k\r\nPEXPIRETIME k\r\n",
      OK_ ":250\r\n:1700000000250\r\n", false },
    { "SET with a moment that is past", "SET k v PXAT 5\r\nGET k\r\nTTL k\r\nEXISTS k\r\n",
      OK_ NIL ":-2\r\n:0\r\n", false },
    { "SET takes the deadline away", "SET k v EX 10\r\nSET k w\r\nTTL k\r\n", OK_ OK_ ":-1\r\n",
      false },
    { "SET with KEEPTTL keeps it", "SET k v EX 10\r\nSET k w KEEPTTL\r\nTTL k\r\nGET k\r\n",
      OK_ OK_ ":10\r\n$1\r\nw\r\n", false },
    { "SET with KEEPTTL where there is none", "SET k v KEEPTTL\r\nTTL k\r\n", OK_ ":-1\r\n",
      false },
    { "SET with two times", "SET k v EX 10 PX 10\r\n", "-ERR syntax error\r\n", false },
    { "SET with a time and KEEPTTL", "SET k v EX 10 KEEPTTL\r\n", "-ERR syntax error\r\n", false },
    { "SET with EX and no time", "SET k v EX\r\n", "-ERR syntax error\r\n", false },
    { "SET with no number", "SET k v EX ten\r\nGET k\r\n",
      "-ERR value is not an integer or out of range\r\n" NIL, false },
    { "SET for no time", "SET k v EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n",
      false },
    { "SET for less than no time", "SET k v PX -1\r\n",
      "-ERR invalid expire time in 'set' command\r\n", false },
    { "SET for more time than there is", "SET k v EX 9223372036854775807\r\n",
      "-ERR invalid expire time in 'set' command\r\n", false },
    { "a number that does not fit", "SET k v EX 9223372036854775808\r\n",
      "-ERR value is not an integer or out of range\r\n", false },
    { "SETEX and PSETEX", "SETEX k 10 v\r\nTTL k\r\nPSETEX k 300 v\r\nPTTL k\r\n",
      OK_ ":10\r\n" OK_ ":300\r\n", false },
    { "SETEX for no time", "SETEX k 0 v\r\n", "-ERR invalid expire time in 'setex' command\r\n",
      false },
    { "TTL of nothing, and of what stays", "TTL k\r\nSET k v\r\nTTL k\r\nPTTL k\r\n",
      ":-2\r\n" OK_ ":-1\r\n:-1\r\n", false },
    { "EXPIRE", "SET k v\r\nEXPIRE k 10\r\nTTL k\r\nGET k\r\n", OK_ ":1\r\n:10\r\n$1\r\nv\r\n",
      false },
    { "EXPIRE of nothing", "EXPIRE k 10\r\nEXISTS k\r\n", ":0\r\n:0\r\n", false },
    { "EXPIRE in the past deletes", "SET k v\r\nEXPIRE k -1\r\nGET k\r\n", OK_ ":1\r\n" NIL,
      false },
    { "PEXPIRE, EXPIREAT, PEXPIREAT",
      "SET k v\r\nPEXPIRE k 700\r\nPTTL k\r\nEXPIREAT k 1700000009\r\nPTTL k\r\n"
      "PEXPIREAT k 1700000000033\r\nPTTL k\r\n",
      OK_ ":1\r\n:700\r\n:1\r\n:9000\r\n:1\r\n:33\r\n", false },
    { "EXPIRE only where there is no deadline",
      "SET k v\r\nEXPIRE k 10 NX\r\nEXPIRE k 20 nx\r\nTTL k\r\n", OK_ ":1\r\n:0\r\n:10\r\n",
      false },
    { "EXPIRE only where there is one",
      "SET k v\r\nEXPIRE k 10 XX\r\nEXPIRE k 10\r\nEXPIRE k 20 XX\r\nTTL k\r\n",
      OK_ ":0\r\n:1\r\n:1\r\n:20\r\n", false },
    { "EXPIRE only later", "SET k v EX 10\r\nEXPIRE k 5 GT\r\nEXPIRE k 15 GT\r\nTTL k\r\n",
      OK_ ":0\r\n:1\r\n:15\r\n", false },
    { "no deadline is later than any", "SET k v\r\nEXPIRE k 5 GT\r\nEXPIRE k 5 LT\r\nTTL k\r\n",
      OK_ ":0\r\n:1\r\n:5\r\n", false },
    { "EXPIRE only earlier", "SET k v EX 10\r\nEXPIRE k 15 LT\r\nEXPIRE k 5 LT\r\nTTL k\r\n",
      OK_ ":0\r\n:1\r\n:5\r\n", false },
    { "EXPIRE with options that exclude each other",
      "EXPIRE k 1 NX GT\r\nEXPIRE k 1 GT LT\r\nEXPIRE k 1 YY\r\n",
      "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"
      "-ERR GT and LT options at the same time are not compatible\r\n"
      "-ERR Unsupported option YY\r\n",
      false },
    { "PERSIST", "SET k v EX 10\r\nPERSIST k\r\nTTL k\r\nPERSIST k\r\nPERSIST no\r\n",
      OK_ ":1\r\n:-1\r\n:0\r\n:0\r\n", false },
    { "a failed EXPIRE", "EXPIRE fail-TIMEOUT 1\r\nTTL fail-TIMEOUT\r\n",
      "-TIMEOUT why, and what next\r\n-TIMEOUT why, and what next\r\n", false },
    { "SET with nonsense", "SET k v w\r\n", "-ERR syntax error\r\n", false },
    { "too few arguments", "SET k\r\n", "-ERR wrong number of arguments for 'set' command\r\n",
      false },
    { "too many arguments", "GET a b\r\n", "-ERR wrong number of arguments for 'get' command\r\n",
      false },
    { "an unknown command, and what may have been meant", "GTE a b\r\n",
      "-ERR unknown command 'GTE', did you mean 'get'? with args beginning with: 'a' 'b' \r\n",
      false },
    { "an unknown command like no other", "ZRANGEBYSCORE\r\n",
      "-ERR unknown command 'ZRANGEBYSCORE' with args beginning with: \r\n", false },
    { "an unknown command with line breaks in it", "\"A\\r\\n+OK\"\r\n",
      "-ERR unknown command 'A +OK' with args beginning with: \r\n", false },
    { "databases are apart", "SET k 0\r\nSELECT 1\r\nGET k\r\nSET k 1\r\nSELECT 0\r\nGET k\r\n",
      OK_ OK_ NIL OK_ OK_ "$1\r\n0\r\n", false },
    { "SELECT above the last", "SELECT 16\r\n", "-ERR DB index is out of range\r\n", false },
    { "SELECT below the first", "SELECT -1\r\n", "-ERR DB index is out of range\r\n", false },
    { "SELECT of no number", "SELECT x\r\n", "-ERR value is not an integer or out of range\r\n",
      false },
    { "DBSIZE counts over pages", "MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7\r\nDEL a\r\nDBSIZE\r\nPING\r\n",
      OK_ ":1\r\n:6\r\n+PONG\r\n", false },
    { "DBSIZE of an empty database", "DBSIZE\r\n", ":0\r\n", false },
    { "QUIT answers what is ahead of it, and nothing behind", "GET a\r\nQUIT\r\nPING\r\n", NIL OK_,
      true },
    { "a protocol error ends the connection behind its replies", "SET a 1\r\n*x\r\nPING\r\n",
      OK_ "-ERR Protocol error: invalid multibulk length\r\n", true },
    { "a bulk above the value limit", "*2\r\n$3\r\nGET\r\n$65537\r\n",
      "-ERR Protocol error: invalid bulk length\r\n", true },
    { "a form of a browser is cut off", "POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", "", true },
    { "a header of a browser is cut off", "GET / HTTP/1.1\r\nHost: x\r\nPING\r\n",
      "-ERR wrong number of arguments for 'get' command\r\n", true },
    { "HELLO", "HELLO\r\nPING\r\n", NULL, false },
    { "HELLO 3", "HELLO 3\r\n", "-NOPROTO unsupported protocol version\r\n", false },
    { "HELLO 0", "HELLO 0\r\n", "-NOPROTO unsupported protocol version\r\n", false },
    { "HELLO x", "HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n",
      false },
    { "HELLO with a user", "HELLO 2 AUTH a b\r\n",
      "-ERR AUTH is not supported yet: there are no users\r\n", false },
    { "a name is kept until RESET",
      "CLIENT GETNAME\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\nRESET\r\nCLIENT GETNAME\r\n",
      NIL OK_ "$2\r\nme\r\n+RESET\r\n" NIL, false },
    { "RESET goes back to database 0", "SET k 0\r\nSELECT 3\r\nRESET\r\nGET k\r\n",
      OK_ OK_ "+RESET\r\n$1\r\n0\r\n", false },
    { "a name with a space", "CLIENT SETNAME \"a b\"\r\n",
      "-ERR Client names cannot contain spaces, newlines or special characters.\r\n", false },
    { "CLIENT SETINFO", "CLIENT SETINFO LIB-NAME x\r\nCLIENT SETINFO lib-ver 1\r\n", OK_ OK_,
      false },
    { "CLIENT with too little", "CLIENT SETNAME\r\n",
      "-ERR wrong number of arguments for 'client|setname' command\r\n", false },
    { "CLIENT of another kind", "CLIENT KILL x\r\n",
      "-ERR unknown subcommand of CLIENT: there are ID, GETNAME, SETNAME, SETINFO\r\n", false },
    { "CONFIG GET save, as redis-benchmark asks", "CONFIG GET save\r\n",
      "*2\r\n$4\r\nsave\r\n$0\r\n\r\n", false },
    { "CONFIG GET appendonly, as redis-benchmark asks", "config get APPENDONLY\r\n",
      "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n", false },
    { "CONFIG GET with a pattern", "CONFIG GET append*\r\n",
      "*4\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n", false },
    { "CONFIG GET of many", "CONFIG GET port databases zzz\r\n",
      "*4\r\n$9\r\ndatabases\r\n$2\r\n16\r\n$4\r\nport\r\n$4\r\n6379\r\n", false },
    { "CONFIG SET", "CONFIG SET save x\r\n",
      "-ERR only CONFIG GET is supported: settings are in kvorum.conf, read at start\r\n", false },
    { "COMMAND COUNT", "COMMAND COUNT\r\n", ":30\r\n", false },
    { "COMMAND INFO", "COMMAND INFO get nothing\r\n",
      "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n"
      "*0\r\n*0\r\n*-1\r\n",
      false },
    { "COMMAND DOCS of one", "COMMAND DOCS echo\r\n",
      "*2\r\n$4\r\necho\r\n*6\r\n$7\r\nsummary\r\n$21\r\nReturns its argument.\r\n$5\r\nsince\r\n"
      "$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n",
      false },
    { "INFO of one section", "INFO clients\r\n",
      "$56\r\n# Clients\r\nconnected_clients:3\r\nrejected_connections:0\r\n\r\n", false },
    { "empty lines are nothing", "\r\n\r\nPING\r\n", "+PONG\r\n", false },
};

enum mode { AT_ONCE, IN_ORDER, REVERSED, MODES };

static struct bytes input_of(const struct row *row)
{
    static const char binary[] = "*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$3\r\n\0\r\n\r\n"
                                 "*2\r\n$3\r\nGET\r\n$4\r\na\0\r\n\r\n";
    if (strstr(row->name, "any bytes") != NULL)
        return bytes_make(binary, sizeof(binary) - 1);
    return bytes_of_string(row->input);
}

static void compare(const struct row *row, struct connection *connection)
{
    static const char binary[] = "+OK\r\n$3\r\n\0\r\n\r\n";
    struct bytes got = buffer_bytes(&connection->received);
    struct bytes expected = row->expected != NULL ? bytes_of_string(row->expected)
                                                  : bytes_make(binary, sizeof(binary) - 1);
    buffer_append_u8(&connection->received, 0);
    if (row->input[0] == 'H' && row->expected == NULL) { /* the id is any number */
        assert_non_null(strstr((const char *)connection->received.data, "kvorum"));
        return;
    }
    got.data = connection->received.data;
    if (!bytes_equal(got, expected))
        assert_string_equal((const char *)got.data, row->expected);
}

static void check_mode(const struct row *row, enum mode mode, size_t step)
{
    struct node *node = malloc(sizeof(*node));
    struct connection connection;
    assert_non_null(node);
    fake_node_init(node);
    node->delayed = mode != AT_ONCE;
    fake_open(&connection, node, &protocol_resp);
    struct bytes input = input_of(row);
    while (input.size > 0) {
        size_t size = input.size < step ? input.size : step;
        fake_send(&connection, bytes_make(input.data, size));
        input = bytes_from(input, size);
    }
    fake_settle(&connection, mode == REVERSED);
    compare(row, &connection);
    assert_int_equal(connection.finished, row->finished);
    assert_int_equal(connection.in_flight, 0);
    assert_false(connection.protocol->ops->mid_request(connection.protocol));
    fake_close(&connection);
    fake_node_done(node);
    free(node);
}

static void check(const void *argument)
{
    for (int mode = 0; mode < MODES; mode++) {
        check_mode(argument, (enum mode)mode, SIZE_MAX);
        check_mode(argument, (enum mode)mode, 1);
        check_mode(argument, (enum mode)mode, 7);
    }
}

/* --- patterns --------------------------------------------------------------------------------- */

struct pattern {
    const char *name, *pattern, *text;
    bool match;
};

static const struct pattern patterns[] = {
    { "a star matches all", "*", "anything", true },
    { "a star matches nothing too", "save*", "save", true },
    { "two stars", "a*b*c", "a-b-b-c", true },
    { "two stars that miss", "a*b*c", "a-c-b", false },
    { "a question mark is one byte", "s?ve", "save", true },
    { "a question mark is not none", "save?", "save", false },
    { "a set", "[a-c]x", "bx", true },
    { "a set backwards", "[c-a]x", "bx", true },
    { "a set that is negated", "[^a-c]x", "bx", false },
    { "a set without an end", "[ab", "a", true },
    { "an escaped star", "a\\*", "ab", false },
    { "whatever the case", "SAVE", "save", true },
    { "an empty pattern matches nothing", "", "a", false },
    { "many stars end soon", "*a*a*a*a*a*a*a*a*a*a*a*a*b",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
};

static void check_pattern(const void *argument)
{
    const struct pattern *row = argument;
    assert_int_equal(resp_glob_match(bytes_of_string(row->pattern), bytes_of_string(row->text)),
                     row->match);
}

/* --- stories ---------------------------------------------------------------------------------- */

struct fixture {
    struct node node;
    struct connection connection;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL)
        return -1;
    fake_node_init(&fixture->node);
    fake_open(&fixture->connection, &fixture->node, &protocol_resp);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_close(&fixture->connection);
    fake_node_done(&fixture->node);
    free(fixture);
    return 0;
}

static void send_text(struct fixture *fixture, const char *text)
{
    fake_send(&fixture->connection, bytes_of_string(text));
}

static void expect(struct fixture *fixture, const char *expected)
{
    buffer_append_u8(&fixture->connection.received, 0);
    assert_string_equal((const char *)fixture->connection.received.data, expected);
    buffer_reset(&fixture->connection.received);
}

static void siblings_answer_the_winner(void **state)
{
    struct fixture *fixture = *state;
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    fake_set_properties(&fixture->node, BYTES_LITERAL("db0"), &properties);
    struct operation put = fixture->node.last;
    put = (struct operation){ .kind = OPERATION_PUT,
                              .bucket = BYTES_LITERAL("db0"),
                              .key = BYTES_LITERAL("k") };
    struct arena arena;
    struct object *none = NULL;
    arena_init(&arena, SIZE_MAX);
    put.value = BYTES_LITERAL("one");
    assert_int_equal(fake_write(&fixture->node, &put, &arena, &none), KVORUM_OK);
    put.value = BYTES_LITERAL("two");
    assert_int_equal(fake_write(&fixture->node, &put, &arena, &none), KVORUM_OK);
    send_text(fixture, "GET k\r\nMGET k\r\nEXISTS k\r\nSET k three\r\nGET k\r\n");
    expect(fixture, "$3\r\ntwo\r\n*1\r\n$3\r\ntwo\r\n:1\r\n+OK\r\n$5\r\nthree\r\n");
    arena_done(&arena);
}

static void many_keys_go_through_a_window(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.delayed = true;
    struct buffer request;
    buffer_init(&request, 1 << 20);
    buffer_append_text(&request, "MSET");
    for (int i = 0; i < 200; i++)
        buffer_printf(&request, " key%d %d", i, i);
    buffer_append_text(&request, "\r\nPING\r\nMGET");
    for (int i = 0; i < 200; i++)
        buffer_printf(&request, " key%d", i);
    buffer_append_text(&request, "\r\n");
    fake_send(&fixture->connection, buffer_bytes(&request));
    assert_in_range(fixture->node.pending_count, 1, 64);
    fake_settle(&fixture->connection, true);
    buffer_reset(&request);
    buffer_append_text(&request, "+OK\r\n+PONG\r\n*200\r\n");
    for (int i = 0; i < 200; i++)
        buffer_printf(&request, "$%d\r\n%d\r\n", i < 10 ? 1 : i < 100 ? 2 : 3, i);
    buffer_append_u8(&request, 0);
    expect(fixture, (const char *)request.data);
    buffer_done(&request);
}

static void a_blocked_connection_parses_no_further(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.delayed = true;
    fixture->connection.pipeline = 4;
    for (int i = 0; i < 20; i++)
        send_text(fixture, "GET a\r\n");
    assert_int_equal(fixture->node.pending_count, 4);
    fake_settle(&fixture->connection, true);
    assert_int_equal(fixture->node.submitted, 20);
}

static void a_client_that_leaves_cancels_its_requests(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.delayed = true;
    send_text(fixture, "GET a\r\nMGET a b c\r\nDBSIZE\r\nSET a 1\r\nMSET a 1 b 2\r\nGET");
    assert_true(fixture->node.pending_count > 0);
    fixture->connection.protocol->ops->close(fixture->connection.protocol);
    assert_int_equal(fixture->node.pending_count, 0);
    fixture->connection.protocol =
        protocol_resp.open(&fixture->connection, &fixture->connection.environment);
}

static void half_a_request_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    const struct protocol *protocol = fixture->connection.protocol;
    send_text(fixture, "*2\r\n$3\r\nGET\r\n");
    assert_true(protocol->ops->mid_request(protocol));
    send_text(fixture, "$1\r\nk\r\n");
    assert_false(protocol->ops->mid_request(protocol));
}

static void a_waiting_request_is_not_half_a_request(void **state)
{
    struct fixture *fixture = *state;
    const struct protocol *protocol = fixture->connection.protocol;
    fixture->node.delayed = true;
    send_text(fixture, "SET k 1\r\nGET k\r\nGET");
    assert_int_equal(fixture->node.pending_count, 1);
    assert_false(protocol->ops->mid_request(protocol));
    fake_settle(&fixture->connection, false);
    assert_true(protocol->ops->mid_request(protocol));
}

static void a_large_value_arrives_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct buffer request;
    buffer_init(&request, 1 << 20);
    resp_write_array(&request, 3);
    resp_write_text(&request, "SET");
    resp_write_text(&request, "k");
    uint8_t *value = calloc(1, 65536);
    assert_non_null(value);
    resp_write_bulk(&request, bytes_make(value, 65536));
    for (size_t at = 0; at < request.size; at += 1000)
        fake_send(
            &fixture->connection,
            bytes_make(request.data + at, request.size - at < 1000 ? request.size - at : 1000));
    expect(fixture, "+OK\r\n");
    assert_int_equal(fixture->node.last.value.size, 65536);
    free(value);
    buffer_done(&request);
}

int main(void)
{
    const struct CMUnitTest stories[] = {
        cmocka_unit_test_setup_teardown(siblings_answer_the_winner, setup, teardown),
        cmocka_unit_test_setup_teardown(many_keys_go_through_a_window, setup, teardown),
        cmocka_unit_test_setup_teardown(a_blocked_connection_parses_no_further, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_cancels_its_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_request_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_waiting_request_is_not_half_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_value_arrives_in_pieces, setup, teardown),
    };
    int failed = RUN_ROWS("resp protocol", rows, check);
    failed += RUN_ROWS("resp patterns", patterns, check_pattern);
    return failed + cmocka_run_group_tests_name("resp stories", stories, NULL, NULL);
}
