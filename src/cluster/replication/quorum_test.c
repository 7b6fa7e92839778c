/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/replication/quorum.h"

#include "tests/support/rows.h"
#include "tests/support/words.h"

struct row {
    const char *name;
    const char *asked, *bucket; /* "n:3 w:all sloppy:0"; what is not there was not said */
    uint16_t members;
    const char *levels; /* "n3 r2 w2 dw2 pr0 pw0 nc0 sloppy,notfound_ok", or the impossible level */
};

#define DEFAULTS "n3 r2 w2 dw2 pr0 pw0 nc0 sloppy,notfound_ok"

static const struct row rows[] = {
    { "nothing said", "", "", 5, DEFAULTS },
    { "a word that says nothing", "r:default w:default", "", 5, DEFAULTS },
    { "the request wins over the bucket", "r:1", "r:3 w:3", 5,
      "n3 r1 w3 dw2 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "words", "r:one w:all pr:quorum", "", 5, "n3 r1 w3 dw2 pr2 pw0 nc0 sloppy,notfound_ok" },
    { "a word of the bucket means the n of the request", "n:1", "n:3 w:all", 5,
      "n1 r1 w1 dw1 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "quorum of four is three", "", "n:4", 5, "n4 r3 w3 dw3 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "quorum of seven is four", "", "n:7", 9, "n7 r4 w4 dw4 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "a smaller n than the bucket's", "n:2", "n:5", 5,
      "n2 r2 w2 dw2 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "a larger n than the bucket's", "n:4", "n:3", 5, "n" },
    { "the largest n", "", "n:16", 20, "n16 r9 w9 dw9 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "more than the largest n", "", "n:17", 20, "n" },
    { "no members", "", "", 0, "n" },
    { "r above n", "r:4", "", 5, "r" },
    { "w above n", "w:4", "", 5, "w" },
    { "dw above n", "dw:4", "", 5, "dw" },
    { "pr above n", "pr:4", "", 5, "pr" },
    { "pw above n", "pw:4", "", 5, "pw" },
    { "node_confirms above n", "nc:4", "", 5, "node_confirms" },
    { "a level of the bucket above the n of the request", "n:1", "w:2", 5, "w" },
    { "a number that is no word and no level", "w:4294967288", "", 5, "w" },
    { "the first impossible level is named", "w:9 pw:9", "", 5, "w" },
    { "r and dw are at least one", "r:0 w:0 dw:0", "", 5,
      "n3 r1 w0 dw1 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "fewer members than n: words adapt", "w:all", "", 2,
      "n2 r2 w2 dw2 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "fewer members than n: sloppy numbers are lowered", "w:3 pw:3", "", 1,
      "n1 r1 w1 dw1 pr0 pw1 nc0 sloppy,notfound_ok" },
    { "fewer members than n: strict numbers are not", "w:3 sloppy:0", "", 2, "w" },
    { "fewer members than n: strict words adapt", "w:all sloppy:0", "", 2,
      "n2 r2 w2 dw2 pr0 pw0 nc0 notfound_ok" },
    { "fewer members than n: strict numbers within them", "w:2 sloppy:0", "", 2,
      "n2 r2 w2 dw2 pr0 pw0 nc0 notfound_ok" },
    { "machines are never lowered", "nc:2", "", 1, "node_confirms" },
    { "as many machines as there are", "nc:2", "", 2,
      "n2 r2 w2 dw2 pr0 pw0 nc2 sloppy,notfound_ok" },
    { "levels of zones", "r:local_quorum w:each_quorum pr:each_quorum pw:local_quorum", "", 5,
      "n3 r1,local w0,each dw1,each pr0,each pw0,local nc0 sloppy,notfound_ok" },
    { "dw follows a w of zones, unless it is said", "w:local_quorum dw:2", "", 5,
      "n3 r2 w0,local dw2 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "dw follows a w of zones of the bucket", "", "w:local_quorum", 5,
      "n3 r2 w0,local dw1,local pr0 pw0 nc0 sloppy,notfound_ok" },
    { "a number wins over the zones of the bucket, and dw with it", "w:1", "w:local_quorum", 5,
      "n3 r2 w1 dw2 pr0 pw0 nc0 sloppy,notfound_ok" },
    { "dw alone may be of zones", "dw:each_quorum", "", 5,
      "n3 r2 w2 dw1,each pr0 pw0 nc0 sloppy,notfound_ok" },
    { "machines are not counted by zone", "nc:local_quorum", "", 5, "node_confirms" },
    { "flags of the bucket", "", "basic_quorum:1 notfound_ok:0 sloppy:0", 5,
      "n3 r2 w2 dw2 pr0 pw0 nc0 basic_quorum" },
    { "flags of the request", "basic_quorum:0 notfound_ok:1 sloppy:1",
      "basic_quorum:1 notfound_ok:0 sloppy:0", 5, DEFAULTS },
};

static void parse_levels(const char *text, struct quorum_levels *ret)
{
    quorum_levels_init(ret);
    const struct {
        const char *name;
        uint32_t *level;
        int8_t *flag;
    } fields[] = {
        { "n:", &ret->n, NULL },
        { "r:", &ret->r, NULL },
        { "w:", &ret->w, NULL },
        { "dw:", &ret->dw, NULL },
        { "pr:", &ret->pr, NULL },
        { "pw:", &ret->pw, NULL },
        { "nc:", &ret->node_confirms, NULL },
        { "basic_quorum:", NULL, &ret->basic_quorum },
        { "notfound_ok:", NULL, &ret->notfound_ok },
        { "sloppy:", NULL, &ret->sloppy },
    };
    char word[WORD_SIZE];
    while (words_next(&text, word)) {
        bool known = false;
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
            size_t size = strlen(fields[i].name);
            if (strncmp(word, fields[i].name, size) != 0)
                continue;
            known = true;
            if (fields[i].flag != NULL)
                *fields[i].flag = word[size] == '1';
            else
                assert_true(quorum_level_parse(bytes_of_string(word + size), fields[i].level));
        }
        assert_true(known);
    }
}

static void describe(const struct quorum *quorum, char *ret_words)
{
    char word[WORD_SIZE] = "";
    static const char *const zones[] = { "", ",local", ",each" };
    const struct level_zones *of = &quorum->zones;
    snprintf(ret_words, WORDS_SIZE, "n%u r%u%s w%u%s dw%u%s pr%u%s pw%u%s nc%u", quorum->n,
             quorum->r, zones[of->r], quorum->w, zones[of->w], quorum->dw, zones[of->dw],
             quorum->pr, zones[of->pr], quorum->pw, zones[of->pw], quorum->node_confirms);
    if (quorum->sloppy)
        word_add(word, "sloppy");
    if (quorum->notfound_ok)
        word_add(word, "notfound_ok");
    if (quorum->basic_quorum)
        word_add(word, "basic_quorum");
    words_add(ret_words, word);
}

static void check(const void *data)
{
    const struct row *row = data;
    struct quorum_levels asked, bucket;
    struct quorum quorum = { .n = 99 };
    const char *level = NULL;
    char words[WORDS_SIZE];
    parse_levels(row->asked, &asked);
    parse_levels(row->bucket, &bucket);
    kvorum_status status = quorum_resolve(&asked, &bucket, row->members, &quorum, &level);
    if (status == KVORUM_OK) {
        describe(&quorum, words);
        assert_string_equal(words, row->levels);
    } else {
        assert_int_equal(status, KVORUM_QUORUM_IMPOSSIBLE);
        assert_int_equal(quorum.n, 99);
        assert_string_equal(level, row->levels);
    }
}

struct text {
    const char *name, *text;
    bool good;
    uint32_t level;
};

static const struct text texts[] = {
    { "one", "one", true, LEVEL_ONE },
    { "quorum", "quorum", true, LEVEL_QUORUM },
    { "all", "all", true, LEVEL_ALL },
    { "default", "default", true, LEVEL_DEFAULT },
    { "local_quorum", "local_quorum", true, LEVEL_LOCAL_QUORUM },
    { "each_quorum", "each_quorum", true, LEVEL_EACH_QUORUM },
    { "zero", "0", true, 0 },
    { "a number", "12", true, 12 },
    { "zeros in front", "0003", true, 3 },
    { "the largest number", "4294967288", true, 4294967288u },
    { "a number that would be a word", "4294967289", false, 0 },
    { "a number that does not fit", "4294967296", false, 0 },
    { "far too many digits", "00000000001", false, 0 },
    { "nothing", "", false, 0 },
    { "a sign", "-1", false, 0 },
    { "another case", "Quorum", false, 0 },
    { "a word and more", "all ", false, 0 },
    { "half a word", "quor", false, 0 },
};

static void check_text(const void *data)
{
    const struct text *row = data;
    uint32_t level = 77;
    assert_int_equal(quorum_level_parse(bytes_of_string(row->text), &level), row->good);
    assert_int_equal(level, row->good ? row->level : 77);
    if (row->good && row->level >= LEVEL_EACH_QUORUM)
        assert_string_equal(quorum_level_word(level), row->text);
    else
        assert_null(quorum_level_word(level));
}

int main(void)
{
    int failed = RUN_ROWS("levels", rows, check);
    return failed + RUN_ROWS("texts of levels", texts, check_text);
}
