/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/membership/packet.h"

#include "tests/support/rows.h"

#include <stdio.h>

/* --- golden bytes: packets travel between releases -------------------------------------------- */

static const struct gossip_packet ping = {
    .kind = GOSSIP_PING,
    .statement_count = 2,
    .sender = { "sender-of-16-byt" },
    .incarnation = 0x0102030405060708,
    .counter = 0x1112131415161718,
    .application = { 7, 0x2122232425262728, 0x3132333435363738, 0x4142434445464748 },
    .number = 0x5152535455565758,
    .subject = { "whom-it-is-about" },
    .statements = { { { "whom-it-is-about" }, 9, LIVENESS_SUSPECT, { "the-accuser-him-" } },
                    { { "somebody-who-is-" }, 300, LIVENESS_ALIVE, { "" } } },
};
static const struct gossip_packet state = {
    .kind = GOSSIP_STATE,
    .flags = GOSSIP_STATE_WANTED,
    .statement_count = 1,
    .sender = { "sender-of-16-byt" },
    .incarnation = 1,
    .counter = 2,
    .application = { .epoch = 1 },
    .statements = { { { "somebody-no-more" }, 0, LIVENESS_DEAD, { "the-accuser-him-" } } },
};

struct golden {
    const char *name;
    const struct gossip_packet *packet;
};
static const struct golden goldens[] = { { "ping", &ping }, { "state", &state } };

static size_t read_golden(const char *name, uint8_t *ret_data)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/gossip/%s.bin", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(ret_data, 1, GOSSIP_PACKET_MAX, file);
    fclose(file);
    return size;
}

static void write_golden(const char *name, struct bytes bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/gossip/%s.bin", name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void assert_same(const struct gossip_packet *a, const struct gossip_packet *b)
{
    uint8_t data[2][GOSSIP_PACKET_MAX] = { { 0 } };
    struct buffer buffers[2];
    for (unsigned i = 0; i < 2; i++) {
        buffers[i] = (struct buffer){ data[i], 0, sizeof(data[i]), sizeof(data[i]), false };
        gossip_encode(i == 0 ? a : b, &buffers[i]);
    }
    assert_true(bytes_equal(buffer_bytes(&buffers[0]), buffer_bytes(&buffers[1])));
}

static void check_golden(const void *context)
{
    const struct golden *golden = context;
    uint8_t data[GOSSIP_PACKET_MAX], stored[GOSSIP_PACKET_MAX];
    struct buffer buffer = { data, 0, sizeof(data), sizeof(data), false };
    gossip_encode(golden->packet, &buffer);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        write_golden(golden->name, buffer_bytes(&buffer));
    size_t size = read_golden(golden->name, stored);
    assert_int_equal(size, buffer.size);
    assert_memory_equal(stored, data, size);
    struct gossip_packet packet;
    assert_int_equal(gossip_decode(bytes_make(stored, size), &packet), KVORUM_OK);
    assert_same(&packet, golden->packet);
}

/* --- rows: one thing of the golden ping is changed -------------------------------------------- */

struct row {
    const char *name;
    size_t offset; /* of the byte that is changed; SIZE_MAX: none */
    uint8_t value;
    int longer; /* bytes added at the end, or taken away */
    kvorum_status status;
};

enum { STATEMENT = GOSSIP_HEADER_SIZE, NEXT = STATEMENT + GOSSIP_ACCUSATION_SIZE };

static const struct row rows[] = {
    { "as it is", SIZE_MAX, 0, 0, KVORUM_OK },
    { "nothing", SIZE_MAX, 0, -(NEXT + GOSSIP_ALIVE_SIZE), KVORUM_FOREIGN },
    { "a magic cut short", SIZE_MAX, 0, -(NEXT + GOSSIP_ALIVE_SIZE - 3), KVORUM_FOREIGN },
    { "another magic", 0, 'X', 0, KVORUM_FOREIGN },
    { "a newer format", 3, '2', 0, KVORUM_NEWER_FORMAT },
    { "kind 0", 4, 0, 0, KVORUM_CORRUPT },
    { "a kind that there is not", 4, 8, 0, KVORUM_CORRUPT },
    { "a kind that is about nobody", 4, GOSSIP_NEWS, 0, KVORUM_CORRUPT },
    { "an answer wanted to a ping", 5, 1, 0, KVORUM_CORRUPT },
    { "a flag that there is not", 5, 2, 0, KVORUM_CORRUPT },
    { "a statement more than there are", 6, 3, 0, KVORUM_CORRUPT },
    { "a statement fewer than there are", 6, 1, 0, KVORUM_CORRUPT },
    { "more statements than fit", 6, 255, 0, KVORUM_CORRUPT },
    { "a reserved byte", 7, 1, 0, KVORUM_CORRUPT },
    { "an incarnation beyond the last", 31, 0x80, 0, KVORUM_CORRUPT },
    { "any counter", 39, 0xff, 0, KVORUM_OK },
    { "any epoch", 47, 0xff, 0, KVORUM_OK },
    { "a state unknown", STATEMENT, 0, 0, KVORUM_CORRUPT },
    { "a state that there is not", STATEMENT, 4, 0, KVORUM_CORRUPT },
    { "dead rather than suspect", STATEMENT, 3, 0, KVORUM_OK },
    { "alive, and yet accused", STATEMENT, 1, 0, KVORUM_CORRUPT },
    { "accused, and by nobody", NEXT, 2, 0, KVORUM_CORRUPT },
    { "an accusation beyond the last incarnation", STATEMENT + 8, 0x80, 0, KVORUM_CORRUPT },
    { "a byte too many", SIZE_MAX, 0, 1, KVORUM_CORRUPT },
    { "a byte too few", SIZE_MAX, 0, -1, KVORUM_CORRUPT },
    { "a signature that nobody took off", SIZE_MAX, 0, GOSSIP_SIGNATURE_SIZE, KVORUM_CORRUPT },
    { "more than a packet may have", SIZE_MAX, 0, GOSSIP_PACKET_MAX, KVORUM_TOO_LARGE },
};

static void check(const void *context)
{
    const struct row *row = context;
    uint8_t data[2 * GOSSIP_PACKET_MAX] = { 0 };
    struct gossip_packet packet;
    size_t size = read_golden("ping", data) + (size_t)row->longer; /* below 0: wraps back */
    if (row->offset != SIZE_MAX)
        data[row->offset] = row->value;
    assert_int_equal(gossip_decode(bytes_make(data, size), &packet), row->status);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_fullest(void)
{
    struct gossip_packet packet = ping;
    packet.statement_count = GOSSIP_STATEMENTS_MAX;
    for (unsigned i = 0; i < GOSSIP_STATEMENTS_MAX; i++)
        packet.statements[i] = ping.statements[1];
    uint8_t data[GOSSIP_PACKET_MAX];
    struct buffer buffer = { data, 0, sizeof(data), sizeof(data), false };
    gossip_encode(&packet, &buffer);
    assert_false(buffer.failed);
    struct gossip_packet again;
    assert_int_equal(gossip_decode(buffer_bytes(&buffer), &again), KVORUM_OK);
    assert_int_equal(again.statement_count, GOSSIP_STATEMENTS_MAX);
}

static void test_every_cut(void)
{
    uint8_t data[GOSSIP_PACKET_MAX];
    struct gossip_packet packet;
    size_t size = read_golden("ping", data);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_not_equal(gossip_decode(bytes_make(data, cut), &packet), KVORUM_OK);
}

static const struct named_test tests[] = {
    { "as many statements as fit", test_fullest },
    { "no beginning of a packet is one", test_every_cut },
};

int main(void)
{
    return RUN_ROWS("gossip packet: golden", goldens, check_golden) +
           RUN_ROWS("gossip packet: one thing changed", rows, check) +
           RUN_TESTS("gossip packet", tests);
}
