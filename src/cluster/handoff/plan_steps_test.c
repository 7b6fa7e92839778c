/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs are pictures: "ABC" a stable partition, "ABC>BCD" one that is written to both and read
 * from the old, "ABC:BCD" read from the new.  Steps: "+1" begins partition 1, ">1" reads the new,
 * "=1" ends, "!1" gives up. */
#include "cluster/handoff/plan_steps.h"

#include "tests/support/rows.h"
#include "tests/support/words.h"

enum { MEMBERS = 6, COLUMNS = 3, PARTITIONS_MAX = 8, NUMBER = 9 };

static struct member members[MEMBERS];

struct scene {
    struct epoch epoch;
    uint16_t table[PARTITIONS_MAX * COLUMNS], target[PARTITIONS_MAX * COLUMNS];
    struct move moves[PARTITIONS_MAX];
};

static void set_row(uint16_t *row, const char *text)
{
    for (int i = 0; i < COLUMNS; i++)
        row[i] = *text >= 'A' && *text <= 'Z' ? (uint16_t)(*text++ - 'A') : RING_NO_MEMBER;
}

static void add_partition(struct scene *scene, const char *word)
{
    struct epoch *epoch = &scene->epoch;
    const char *arrow = strpbrk(word, ">:");
    set_row(scene->table + epoch->partition_count * COLUMNS, word);
    if (arrow != NULL) {
        struct move *move = &scene->moves[epoch->move_count++];
        move->partition = epoch->partition_count;
        move->phase = *arrow == '>' ? MOVE_WRITE_BOTH_READ_OLD : MOVE_WRITE_BOTH_READ_NEW;
        move->session = NUMBER - 2;
        set_row(move->to, arrow + 1);
    }
    epoch->partition_count++;
}

static void make_scene(struct scene *scene, const char *picture)
{
    char word[WORD_SIZE];
    *scene = (struct scene){ .epoch = { .number = NUMBER,
                                        .replica_count = COLUMNS,
                                        .member_count = MEMBERS,
                                        .members = members,
                                        .table = scene->table,
                                        .moves = scene->moves } };
    while (words_next(&picture, word))
        add_partition(scene, word);
}

struct row {
    const char *name, *epoch;
    const char *target;               /* rows of the table to be reached; "": none */
    const char *behind;               /* members who have not persisted the epoch */
    const char *streamed, *cancelled; /* numbers of partitions */
    uint8_t r, cap;
    const char *steps, *after;
};

static const struct row rows[] = {
    /* the barrier */
    { "reads go over once everybody has it and it is streamed", "ABC>BCD", "", "", "0", "", 1, 9,
      ">0", "ABC:BCD" },
    { "not before it is streamed", "ABC>BCD", "", "", "", "", 1, 9, "", "ABC>BCD" },
    { "with r=1 one old owner behind holds it up", "ABC>BCD", "", "A", "0", "", 1, 9, "",
      "ABC>BCD" },
    { "with r=1 one new owner behind holds it up", "ABC>BCD", "", "D", "0", "", 1, 9, "",
      "ABC>BCD" },
    { "with r=2 two of three are enough", "ABC>BCD", "", "A", "0", "", 2, 9, ">0", "ABC:BCD" },
    { "one behind in each set, with r=2", "ABC>BCD", "", "AD", "0", "", 2, 9, ">0", "ABC:BCD" },
    { "one behind in both sets, with r=2", "ABC>BCD", "", "B", "0", "", 2, 9, ">0", "ABC:BCD" },
    { "two of the new behind, with r=2", "ABC>BCD", "", "BD", "0", "", 2, 9, "", "ABC>BCD" },
    { "two of the old behind, with r=2", "ABC>CDE", "", "AB", "0", "", 2, 9, "", "ABC>CDE" },
    { "with r=3 a majority of both all the same", "ABC>BCD", "", "AB", "0", "", 3, 9, "",
      "ABC>BCD" },
    { "a move ends by the same barrier", "ABC:BCD", "", "", "", "", 1, 9, "=0", "BCD" },
    { "and waits for it", "ABC:BCD", "", "A", "", "", 1, 9, "", "ABC:BCD" },
    { "members that have nothing to do with it do not count", "ABC:BCD", "", "EF", "", "", 1, 9,
      "=0", "BCD" },
    { "a row that grows asks its one owner", "A>ABC", "", "", "0", "", 1, 9, ">0", "A:ABC" },
    /* giving up */
    { "giving up needs nobody", "ABC>BCD", "", "ABCD", "0", "0", 1, 9, "!0", "ABC" },
    { "what reads ask already is not given up", "ABC:BCD", "", "", "", "0", 1, 9, "=0", "BCD" },
    /* beginning */
    { "what differs begins", "ABC ABC", "ABC BCD", "", "", "", 1, 9, "+1", "ABC ABC>BCD" },
    { "and waits for the owners", "ABC", "BCD", "B", "", "", 1, 9, "", "ABC" },
    { "not for those to come", "ABC", "BCD", "D", "", "", 1, 9, "+0", "ABC>BCD" },
    { "what moves does not begin again", "ABC>BCD", "BCD", "", "", "", 1, 9, "", "ABC>BCD" },
    { "a change of places is a move", "ABC", "BAC", "", "", "", 1, 9, "+0", "ABC>BAC" },
    { "at most as many as a member may have", "ABC ABC ABC", "BCD BCD BCD", "", "", "", 1, 2,
      "+0 +1", "ABC>BCD ABC>BCD ABC" },
    { "those under way count", "ABC>BCD ABC ABC", "BCD BCD BCD", "", "", "", 1, 2, "+1",
      "ABC>BCD ABC>BCD ABC" },
    { "who gives counts like who takes", "ABC ABC", "BCD BCE", "", "", "", 1, 1, "+0",
      "ABC>BCD ABC" },
    { "others have room", "ABC ABC ABC", "BCD BCD ACE", "", "", "", 1, 1, "+0 +2",
      "ABC>BCD ABC ABC>ACE" },
    /* together */
    { "one ends, one goes on, one begins", "ABC:BCD ABC ABC>ABE", "BCD ABF ABE", "", "2", "", 1, 9,
      "=0 +1 >2", "BCD ABC>ABF ABC:ABE" },
    { "what ends still counts", "ABC:BCD ABC", "BCD BCD", "", "", "", 1, 1, "=0", "BCD ABC" },
};

static bool has(const char *letters, char letter)
{
    return strchr(letters, letter) != NULL;
}

static void append(char word[WORD_SIZE], char letter)
{
    size_t size = strlen(word);
    assert_true(size + 1 < WORD_SIZE);
    word[size] = letter;
    word[size + 1] = 0;
}

static void draw_row(const uint16_t *row, char word[WORD_SIZE])
{
    for (int i = 0; i < COLUMNS; i++)
        if (row[i] != RING_NO_MEMBER)
            append(word, (char)('A' + row[i]));
}

static void draw(const struct epoch *epoch, char *words)
{
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        const struct move *move = ring_move_of(epoch, p);
        char word[WORD_SIZE] = "";
        draw_row(ring_row(epoch, p), word);
        if (move != NULL) {
            append(word, move->phase == MOVE_WRITE_BOTH_READ_OLD ? '>' : ':');
            draw_row(move->to, word);
        }
        words_add(words, word);
    }
}

static void describe(const struct handoff_step *steps, uint32_t count, char *words)
{
    static const char signs[] = {
        [HANDOFF_BEGIN] = '+', [HANDOFF_READ_NEW] = '>', [HANDOFF_END] = '=', [HANDOFF_ABORT] = '!'
    };
    for (uint32_t i = 0; i < count; i++) {
        char word[WORD_SIZE];
        snprintf(word, sizeof(word), "%c%u", signs[steps[i].kind], steps[i].partition);
        words_add(words, word);
    }
}

static void check(const void *data)
{
    const struct row *row = data;
    struct scene scene, wanted;
    uint64_t persisted[MEMBERS];
    bool streamed[PARTITIONS_MAX], cancelled[PARTITIONS_MAX];
    make_scene(&scene, row->epoch);
    make_scene(&wanted, row->target);
    for (int i = 0; i < MEMBERS; i++)
        persisted[i] = has(row->behind, (char)('A' + i)) ? NUMBER - 1 : NUMBER;
    for (uint32_t i = 0; i < scene.epoch.move_count; i++) {
        streamed[i] = has(row->streamed, (char)('0' + scene.moves[i].partition));
        cancelled[i] = has(row->cancelled, (char)('0' + scene.moves[i].partition));
    }
    struct handoff_input input = {
        &scene.epoch, persisted, streamed, cancelled, row->target[0] != 0 ? wanted.table : NULL,
        row->r,       row->cap
    };
    struct handoff_step steps[PARTITIONS_MAX];
    uint32_t count = handoff_steps(&input, steps, PARTITIONS_MAX);
    char words[WORDS_SIZE] = "";
    describe(steps, count, words);
    assert_string_equal(words, row->steps);

    struct arena arena;
    struct epoch after;
    arena_init(&arena, 1 << 20);
    assert_int_equal(KVORUM_OK,
                     handoff_apply(&scene.epoch, input.target, steps, count, &arena, &after));
    words[0] = 0;
    draw(&after, words);
    assert_string_equal(words, row->after);
    assert_int_equal(after.number, NUMBER + 1);
    for (uint32_t i = 0; i < after.move_count; i++)
        assert_int_equal(after.moves[i].session,
                         ring_move_of(&scene.epoch, after.moves[i].partition) ? NUMBER - 2
                                                                              : NUMBER + 1);
    arena_done(&arena);
}

static void test_barrier(void)
{
    for (uint8_t n = 1; n <= RING_REPLICAS_MAX; n++) {
        for (uint8_t r = 1; r <= n + 1; r++) {
            uint8_t barrier = handoff_barrier(n, r);
            assert_true(barrier <= n && barrier + r > n);
            assert_true(2 * barrier > n);
        }
        assert_int_equal(handoff_barrier(n, HANDOFF_R_ANY), n);
    }
}

static void test_limit(void)
{
    struct scene scene;
    uint64_t persisted[MEMBERS] = { NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER };
    struct handoff_step steps[2];
    make_scene(&scene, "ABC:BCD ABC ABC:BCD ABC:BCD");
    set_row(scene.target, "BCD");
    set_row(scene.target + COLUMNS, "ABD");
    struct handoff_input input = { &scene.epoch, persisted, NULL, NULL, scene.target, 1, 9 };
    assert_int_equal(handoff_steps(&input, steps, 2), 2);
    assert_int_equal(steps[0].kind, HANDOFF_END);
    assert_int_equal(steps[1].kind, HANDOFF_END);
}

static const struct named_test tests[] = {
    { "any r copies meet a barrier, and it is a majority", test_barrier },
    { "what ends comes before what begins", test_limit },
};

int main(void)
{
    return RUN_ROWS("steps", rows, check) + RUN_TESTS("barriers", tests);
}
