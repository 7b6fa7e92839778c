/* SPDX-License-Identifier: Apache-2.0 */
/* Rows are words: "ABC" has A first.  Sources of a receiver are told as letters too. */
#include "cluster/handoff/streams.h"

#include "tests/support/rows.h"

enum { MEMBERS = 5, STREAMS_SIZE = 64 };

static struct member members[MEMBERS];

struct scene {
    struct epoch epoch;
    struct move move;
    uint16_t table[RING_REPLICAS_MAX];
};

static void set_row(uint16_t *row, uint8_t columns, const char *text)
{
    for (uint8_t i = 0; i < columns; i++)
        row[i] = i < strlen(text) ? (uint16_t)(text[i] - 'A') : RING_NO_MEMBER;
}

static void make_scene(struct scene *scene, const char *from, const char *to)
{
    size_t columns = strlen(from) > strlen(to) ? strlen(from) : strlen(to);
    *scene = (struct scene){ .epoch = { .number = 5,
                                        .partition_count = 1,
                                        .replica_count = (uint8_t)columns,
                                        .member_count = MEMBERS,
                                        .members = members,
                                        .table = scene->table } };
    scene->move = (struct move){ 0, MOVE_WRITE_BOTH_READ_OLD, 5, { 0 } };
    scene->epoch.moves = &scene->move;
    scene->epoch.move_count = 1;
    set_row(scene->table, (uint8_t)columns, from);
    set_row(scene->move.to, (uint8_t)columns, to);
}

struct row {
    const char *name, *from, *to, *lost;
    const char *streams; /* "D<A": D receives from A; by place in the new row */
};

static const struct row rows[] = {
    { "who comes takes the place of who leaves", "ABC", "ABD", "", "D<C" },
    { "two for two", "ABC", "DBE", "", "D<A E<C" },
    { "one who leaves and is lost: the others have it", "ABC", "ABD", "C", "D<AB" },
    { "who moves to the front takes what only the front has", "ABC", "BCD", "", "B<A C<A D<A" },
    { "growing from one", "A", "ABC", "", "B<A C<A" },
    { "growing from two takes both", "AB", "ABC", "", "C<AB" },
    { "shrinking: who stays takes what only the one who leaves may have", "ABC", "AB", "",
      "A<C B<C" },
    { "nobody moves", "ABC", "ABC", "", "" },
    { "a change of places serves buckets with fewer copies", "ABC", "CAB", "", "C<AB" },
    { "one who comes to the front serves all of them", "ABC", "DBC", "", "D<A" },
};

static void append(char ret[STREAMS_SIZE], char letter)
{
    size_t size = strlen(ret);
    assert_true(size + 1 < STREAMS_SIZE);
    ret[size] = letter;
    ret[size + 1] = 0;
}

static void describe(const struct scene *scene, uint32_t lost, char ret[STREAMS_SIZE])
{
    uint16_t receivers[RING_REPLICAS_MAX];
    uint8_t count = handoff_receivers(&scene->epoch, &scene->move, receivers);
    *ret = 0;
    for (uint8_t i = 0; i < count; i++) {
        uint32_t sources = handoff_sources(&scene->epoch, &scene->move, receivers[i], lost);
        if (i > 0)
            append(ret, ' ');
        append(ret, (char)('A' + receivers[i]));
        append(ret, '<');
        for (uint8_t place = 0; place < scene->epoch.replica_count; place++)
            if ((sources >> place & 1) != 0)
                append(ret, (char)('A' + scene->table[place]));
    }
}

static void check(const void *data)
{
    const struct row *row = data;
    struct scene scene;
    char streams[STREAMS_SIZE];
    uint32_t lost = 0;
    make_scene(&scene, row->from, row->to);
    for (const char *at = row->lost; *at != 0; at++)
        lost |= handoff_place(&scene.epoch, 0, (uint16_t)(*at - 'A'));
    describe(&scene, lost, streams);
    assert_string_equal(streams, row->streams);
}

/* --- no acknowledged write is out of a read's reach --------------------------------------------
 * */

static uint32_t members_of(const uint16_t *row, uint8_t count)
{
    uint32_t set = 0;
    for (uint8_t i = 0; i < count; i++)
        set |= 1u << row[i];
    return set;
}

static uint32_t members_at(const struct scene *scene, uint32_t places)
{
    uint32_t set = 0;
    for (uint8_t i = 0; i < scene->epoch.replica_count; i++)
        if ((places >> i & 1) != 0 && scene->table[i] != RING_NO_MEMBER)
            set |= 1u << scene->table[i];
    return set;
}

/* Receivers that took from whoever they may be content with, so unluckily that they missed it. */
static bool misses(const struct scene *scene, uint16_t receiver, uint32_t holders, uint8_t w)
{
    for (uint32_t received = 0; received < 1u << scene->epoch.replica_count; received++)
        if ((members_at(scene, received) & holders) == 0 &&
            handoff_received(&scene->epoch, &scene->move, receiver, received, w))
            return true;
    return false;
}

static void check_write(const struct scene *scene, uint8_t n, uint8_t w, uint32_t holders)
{
    uint8_t to_count = ring_row_size(&scene->epoch, scene->move.to);
    uint8_t from_count = ring_row_size(&scene->epoch, scene->table);
    uint8_t old_n = n < from_count ? n : from_count, new_n = n < to_count ? n : to_count;
    uint8_t r = (uint8_t)(old_n - w + 1), new_r = r < new_n ? r : new_n, after = 0;
    for (uint8_t i = 0; i < new_n; i++) {
        uint16_t member = scene->move.to[i];
        bool receives = handoff_needs(&scene->epoch, &scene->move, member, n);
        after += (holders >> member & 1) != 0 || (receives && !misses(scene, member, holders, w));
    }
    assert_true(after >= new_n - new_r + 1);
}

static void check_scene(const char *from, const char *to)
{
    struct scene scene;
    make_scene(&scene, from, to);
    for (uint8_t n = 1; n <= scene.epoch.replica_count; n++) {
        uint8_t size = ring_row_size(&scene.epoch, scene.table), old_n = n < size ? n : size;
        uint32_t owners = members_of(scene.table, old_n);
        for (uint8_t w = 1; w <= old_n; w++)
            for (uint32_t holders = owners; holders != 0; holders = (holders - 1) & owners)
                if (__builtin_popcount(holders) >= w)
                    check_write(&scene, n, w, holders);
    }
}

/* All words of 1 to 3 different letters. */
static uint32_t make_words(char ret_words[128][4])
{
    uint32_t count = 0;
    for (uint32_t code = 0; code < (MEMBERS + 1) * (MEMBERS + 1) * (MEMBERS + 1); code++) {
        char word[4] = { 0 };
        uint32_t rest = code;
        bool fine = true;
        for (int i = 0; i < 3; i++, rest /= MEMBERS + 1) {
            word[i] = rest % (MEMBERS + 1) == 0 ? 0 : (char)('A' + rest % (MEMBERS + 1) - 1);
            fine &= word[i] == 0 || (i == 0 || (word[i - 1] != 0 && word[i - 1] != word[i]));
        }
        fine &= word[0] != 0 && (word[2] == 0 || word[0] != word[2]);
        if (fine)
            memcpy(ret_words[count++], word, sizeof(word));
    }
    return count;
}

static void test_reach(void)
{
    char words[128][4];
    uint32_t count = make_words(words);
    assert_int_equal(count, 5 + 20 + 60);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            check_scene(words[i], words[j]);
}

static void test_lost_leaver(void)
{
    struct scene scene;
    make_scene(&scene, "ABC", "BCD");
    uint16_t newcomer = 3;
    assert_true(handoff_received(&scene.epoch, &scene.move, newcomer, 1, 1));
    assert_false(handoff_received(&scene.epoch, &scene.move, newcomer, 6, 1)); /* w=1: A alone */
    assert_true(handoff_received(&scene.epoch, &scene.move, newcomer, 6, 2));
    assert_false(handoff_received(&scene.epoch, &scene.move, newcomer, 2, 2));
    assert_true(handoff_received(&scene.epoch, &scene.move, newcomer, 2, 3)); /* all have it */
}

static void test_session(void)
{
    struct scene scene;
    make_scene(&scene, "ABC", "BCD");
    assert_true(handoff_session_open(&scene.epoch, 0, 5));
    assert_false(handoff_session_open(&scene.epoch, 0, 4));
    assert_false(handoff_session_open(&scene.epoch, 1, 5));
    scene.epoch.move_count = 0;
    assert_false(handoff_session_open(&scene.epoch, 0, 5));
}

static const struct named_test tests[] = {
    { "no acknowledged write is out of reach, for all moves among 5 members", test_reach },
    { "without the one that leaves it takes n-w+1 others", test_lost_leaver },
    { "a session is open while its move is under way", test_session },
};

int main(void)
{
    return RUN_ROWS("streams", rows, check) + RUN_TESTS("what streams bring", tests);
}
