/* SPDX-License-Identifier: Apache-2.0 */
/* Events: "start", "ack:0" (durable), "buf:0" (acked, not durable yet), "no:0" (refused), "lost:0"
 * (failed, outcome unknown), "tick", "late" (a tick at the deadline).  An "@" behind an event: at
 * the deadline. Effects, a word an event: "send:012", "reply:OK", "end", "-" for none. */
#include "cluster/replication/put.h"

#include "tests/support/rows.h"
#include "tests/support/words.h"

struct row {
    const char *name;
    const char
        *levels; /* "n3 w2": t targets (default n), dw 1, others 0; "own:01" (default: the first
                           n), "down:1", "sloppy" */
    const char *events, *effects;
};

static const struct row rows[] = {
    /* w */
    { "the first ack completes w=1", "n3 w1", "start ack:2", "send:012 reply:OK" },
    { "the second ack completes w=2", "n3 w2", "start ack:0 ack:1", "send:012 - reply:OK" },
    { "the third ack completes w=3", "n3 w3", "start ack:1 ack:0 ack:2",
      "send:012 - - reply:OK,end" },
    { "one copy is done with its ack", "n1 w1", "start ack:0", "send:0 reply:OK,end" },
    { "a late ack is silent, and the last one ends it", "n3 w1", "start ack:2 ack:0 ack:1",
      "send:012 reply:OK - end" },
    { "nothing happens after the end", "n1 w1", "start ack:0 ack:0 lost:0 late start",
      "send:0 reply:OK,end - - - -" },
    { "the same ack twice is one", "n3 w2", "start ack:0 ack:0 ack:1", "send:012 - - reply:OK" },
    { "an ack of nobody", "n3 w1", "start ack:3 ack:f ack:0", "send:012 - - reply:OK" },
    { "nothing happens before the start", "n3 w1", "ack:0 lost:0 late start", "- - - send:012" },
    { "it starts once", "n3 w2", "start start ack:0 ack:1", "send:012 - - reply:OK" },
    { "w=0 answers with the first durable copy", "n3 w0", "start ack:1", "send:012 reply:OK" },
    /* dw, pw, node_confirms */
    { "dw waits for durable copies", "n3 w1 dw2", "start buf:0 ack:1 ack:0",
      "send:012 - - reply:OK" },
    { "an ack that is durable later adds to dw only", "n3 w2 dw1", "start buf:0 ack:0 buf:1",
      "send:012 - - reply:OK" },
    { "dw=3 and one that will not be durable", "n3 w1 dw3", "start buf:0 lost:0",
      "send:012 - reply:TIMEOUT" },
    { "acked, then not durable: still an ack", "n3 w3 dw2", "start buf:0 lost:0 ack:1 ack:2",
      "send:012 - - - reply:OK,end" },
    { "durable after all", "n3 w1 dw2", "start buf:0 lost:0 ack:0 ack:1",
      "send:012 - - - reply:OK" },
    { "a plain ack repeated after a failure brings no durability back", "n2 w1 dw2",
      "start buf:0 lost:0 buf:0", "send:01 - reply:TIMEOUT -" },
    { "all acked and none durable waits for the deadline", "n2 w1", "start buf:0 buf:1 late",
      "send:01 - - reply:TIMEOUT,end" },
    { "pw waits for owners", "n3 w1 pw1 own:0", "start ack:1 ack:2 ack:0",
      "send:012 - - reply:OK,end" },
    { "pw cannot be met when the owner is lost", "n3 w1 pw1 own:0", "start lost:0",
      "send:012 reply:TIMEOUT" },
    { "pw cannot be met when the owner is down", "n3 w1 pw1 own:0 down:0 sloppy t4", "start",
      "reply:UNAVAILABLE,end" },
    { "pw by an owner among the spares", "n2 w1 pw1 own:2 down:0 sloppy t3", "start ack:1 ack:2",
      "send:12 - reply:OK,end" },
    { "node_confirms counts nodes", "n3 w1 nc3", "start ack:0 ack:1 ack:2",
      "send:012 - - reply:OK,end" },
    { "node_confirms with one lost", "n3 w1 nc3", "start lost:1", "send:012 reply:TIMEOUT" },
    /* strict */
    { "one lost, two left for w=2", "n3 w2", "start lost:0 ack:1 ack:2",
      "send:012 - - reply:OK,end" },
    { "two lost of three, w=2: unknown", "n3 w2", "start lost:0 lost:1",
      "send:012 - reply:TIMEOUT" },
    { "two refused of three, w=2: the third may hold it", "n3 w2", "start no:0 no:1",
      "send:012 - reply:TIMEOUT" },
    { "all refused, w=1: nothing happened", "n3 w1", "start no:0 no:1 no:2",
      "send:012 - - reply:UNAVAILABLE,end" },
    { "all refused but one lost: unknown", "n3 w1", "start no:0 lost:1 no:2",
      "send:012 - - reply:TIMEOUT,end" },
    { "lost, then known to be refused", "n2 w1", "start lost:0 no:0 no:1",
      "send:01 - - reply:UNAVAILABLE,end" },
    { "refused, then acked all the same", "n2 w2", "start no:0 ack:0 ack:1",
      "send:01 reply:TIMEOUT - end" },
    { "lost, then acked: the ack is the truth", "n2 w1", "start lost:0 ack:0",
      "send:01 - reply:OK" },
    { "a failure after a durable ack is none", "n2 w2", "start ack:0 lost:0 ack:1",
      "send:01 - - reply:OK,end" },
    { "a failure twice is one", "n3 w2", "start lost:0 lost:0 ack:1 ack:2",
      "send:012 - - - reply:OK,end" },
    { "a failure of nobody", "n3 w3", "start lost:3 no:9 ack:0 ack:1 ack:2",
      "send:012 - - - - reply:OK,end" },
    { "one down leaves w=2", "n3 w2 down:0", "start ack:1 ack:2", "send:12 - reply:OK,end" },
    { "two down: not even sent", "n3 w2 down:01", "start ack:2", "reply:UNAVAILABLE,end -" },
    { "all down", "n3 w1 down:012", "start", "reply:UNAVAILABLE,end" },
    { "strict never uses a spare", "n2 w1 t4", "start lost:0 no:1", "send:01 - reply:TIMEOUT,end" },
    /* sloppy */
    { "a spare for one that is lost", "n3 w3 t5 sloppy", "start lost:1 ack:0 ack:2 ack:3",
      "send:012 send:3 - - reply:OK,end" },
    { "a spare each", "n2 w2 t5 sloppy", "start no:0 no:1 ack:2 ack:3",
      "send:01 send:2 send:3 - reply:OK,end" },
    { "a spare for a spare", "n1 w1 t3 sloppy", "start no:0 no:1 ack:2",
      "send:0 send:1 send:2 reply:OK,end" },
    { "no spare left", "n2 w2 t3 sloppy", "start no:0 no:1", "send:01 send:2 reply:TIMEOUT" },
    { "all refused, spares too", "n1 w1 t3 sloppy", "start no:0 no:1 no:2",
      "send:0 send:1 send:2 reply:UNAVAILABLE,end" },
    { "a spare from the start for one that is down", "n3 w3 t5 down:1 sloppy",
      "start ack:0 ack:2 ack:3", "send:023 - - reply:OK,end" },
    { "spares that are down are passed over", "n2 w2 t5 down:23 sloppy", "start lost:0 ack:4 ack:1",
      "send:01 send:4 - reply:OK,end" },
    { "all are down but one spare", "n2 w1 t4 down:012 sloppy", "start ack:3",
      "send:3 reply:OK,end" },
    { "too few are up: not even sent", "n2 w2 t4 down:012 sloppy", "start",
      "reply:UNAVAILABLE,end" },
    { "the lost one answers beside its spare", "n2 w2 t3 sloppy", "start lost:0 ack:0 ack:2 ack:1",
      "send:01 send:2 - reply:OK end" },
    { "a failure after OK still calls a spare", "n3 w1 t4 sloppy", "start ack:0 lost:1 ack:2 ack:3",
      "send:012 reply:OK send:3 - end" },
    { "a failure after an unknown outcome calls nobody", "n2 w2 pw2 t4 sloppy",
      "start lost:0 lost:1", "send:01 reply:TIMEOUT end" },
    { "a refusal that ends the hope for pw is not spread to a spare", "n1 w1 pw1 t2 sloppy",
      "start no:0", "send:0 reply:UNAVAILABLE,end" },
    { "one that will not be durable has a spare", "n2 w1 dw2 t3 sloppy",
      "start buf:0 lost:0 ack:1 ack:2", "send:01 - send:2 - reply:OK,end" },
    /* time */
    { "a tick before the deadline is silent", "n3 w2", "start tick ack:0 tick ack:1",
      "send:012 - - - reply:OK" },
    { "the deadline: unknown, and done", "n3 w2", "start ack:0 late ack:1",
      "send:012 - reply:TIMEOUT,end -" },
    { "the deadline after the answer", "n3 w1", "start ack:0 late", "send:012 reply:OK end" },
    { "an ack that meets the deadline in the door counts", "n3 w2", "start ack:0 ack:1@",
      "send:012 - reply:OK,end" },
    { "a failure at the deadline calls no spare", "n2 w2 t3 sloppy", "start lost:0@",
      "send:01 reply:TIMEOUT,end" },
    { "a start at the deadline sends nothing", "n2 w1", "start@", "reply:UNAVAILABLE,end" },
    /* zones: a letter for each place, "a" is the coordinator's */
    { "local: another zone does not help", "n3 zones:abb w:local", "start ack:1 ack:2 ack:0",
      "send:012 - - reply:OK,end" },
    { "local: the one here is enough", "n3 zones:abb w:local", "start ack:0", "send:012 reply:OK" },
    { "local: one of two here is not", "n3 zones:aab w:local", "start ack:1 ack:2 ack:0",
      "send:012 - - reply:OK,end" },
    { "local: the same ack twice is one", "n3 zones:aab w:local", "start ack:1 ack:1 ack:0",
      "send:012 - - reply:OK" },
    { "local: two of three here are", "n3 zones:aaa w:local", "start ack:2 ack:1",
      "send:012 - reply:OK" },
    { "local: the one here is lost", "n3 zones:abb w:local", "start ack:1 lost:0",
      "send:012 - reply:TIMEOUT" },
    { "local: the one here is down, and nothing is sent", "n3 zones:abb w:local down:0", "start",
      "reply:UNAVAILABLE,end" },
    { "local: a stand-in is no replica of the zone", "n3 zones:abb w:local down:0 sloppy t4",
      "start", "reply:UNAVAILABLE,end" },
    { "local dw waits for the disk here", "n3 zones:abb w:local dw:local",
      "start buf:0 ack:1 ack:2 ack:0", "send:012 - - - reply:OK,end" },
    { "each: one of every zone", "n3 zones:abc w:each", "start ack:0 ack:2 ack:1",
      "send:012 - - reply:OK,end" },
    { "each: a zone with two needs both", "n3 zones:abb w:each", "start ack:0 ack:2 ack:1",
      "send:012 - - reply:OK,end" },
    { "each: a majority of a zone with three", "n4 zones:abbb w:each", "start ack:0 ack:2 ack:3",
      "send:0123 - - reply:OK" },
    { "each: a zone that is down", "n3 zones:abc w:each down:2", "start", "reply:UNAVAILABLE,end" },
    { "each: a zone that is lost", "n3 zones:abc w:each", "start ack:0 ack:1 lost:2",
      "send:012 - - reply:TIMEOUT,end" },
    { "a number beside zones", "n3 w2 zones:abb pw:local", "start ack:0 ack:1",
      "send:012 - reply:OK" },
    { "a move: local of the old and of the new", "n2 set:02 new:12 zones:aab w:local",
      "start ack:0 ack:2 ack:1", "send:012 - - reply:OK,end" },
    { "a move: each of the old and of the new", "n2 set:01 new:02 zones:abc w:each",
      "start ack:0 ack:1 ack:2", "send:012 - - reply:OK,end" },
    /* moving: owners until now in "set", owners to come in "new" */
    { "a move needs w of the old and of the new", "n3 w2 set:012 new:123 v2",
      "start ack:0 ack:1 ack:3", "send:0123 - - reply:OK" },
    { "members in both sets are enough for both", "n3 w2 set:012 new:123 v2", "start ack:1 ack:2",
      "send:0123 - reply:OK" },
    { "one in both counts once in each", "n3 w2 set:012 new:123 v2", "start ack:1 ack:1 ack:3",
      "send:0123 - - -" },
    { "one old, one new and one in both are w=2 of both", "n3 w2 set:012 new:123 v2",
      "start ack:0 ack:3 ack:2", "send:0123 - - reply:OK" },
    { "all of the new are not enough", "n2 w2 set:01 new:23 v2", "start ack:2 ack:3 ack:0 ack:1",
      "send:0123 - - - reply:OK,end" },
    { "all of the old are not enough", "n2 w2 set:01 new:23 v2", "start ack:0 ack:1 ack:3 late",
      "send:0123 - - - reply:TIMEOUT,end" },
    { "one lost where the new need all", "n2 w1 set:01 new:12 v2", "start ack:0 lost:2",
      "send:012 - reply:TIMEOUT" },
    { "the one that leaves is lost, and the old have their quorum", "n3 w2 set:012 new:123 v2",
      "start lost:0 ack:1 ack:2 ack:3", "send:0123 - - reply:OK end" },
    { "too few of the new are up: not even sent", "n2 w1 set:01 new:23 v2 down:3", "start",
      "reply:UNAVAILABLE,end" },
    { "dw is counted in both", "n2 w1 set:01 new:12 v1", "start buf:1 ack:2 ack:0",
      "send:012 - - reply:OK,end" },
    { "pw is counted in both", "n2 w1 pw1 set:01 new:12 v1 own:02", "start ack:1 ack:0 ack:2",
      "send:012 - - reply:OK,end" },
    { "growing from one owner to three", "n1 w1 set:0 new:012 v2", "start ack:0 ack:1",
      "send:012 - reply:OK" },
    { "the one that was alone must have it", "n1 w1 set:0 new:012 v2", "start ack:1 ack:2 ack:0",
      "send:012 - - reply:OK,end" },
    { "a spare counts where the one counted that it stands in for",
      "n2 w2 set:01 new:12 v2 t4 sloppy", "start lost:2 ack:3 ack:0 ack:1",
      "send:012 send:3 - - reply:OK,end" },
    { "a spare for an old owner is none for a new one", "n1 w1 set:0 new:1 v1 t3 sloppy",
      "start lost:0 ack:2 lost:1", "send:01 send:2 - reply:TIMEOUT,end" },
    { "a spare for one in both counts in both", "n1 w1 set:0 new:0 v1 t2 sloppy",
      "start lost:0 ack:1", "send:0 send:1 reply:OK,end" },
    { "spares from the start are one for each that is down",
      "n1 w1 set:0 new:1 v1 t4 down:01 sloppy", "start ack:2 ack:3", "send:23 - reply:OK,end" },
};

enum { DEADLINE_US = 1000 };

/* "zones:aab": the letter of each place; 'a' is the coordinator's. */
static void parse_zones(const char *letters, struct put *put)
{
    static struct target_zones zones; /* of the case at hand */
    zones = (struct target_zones){ .count = 3 };
    put->zones = &zones;
    for (uint8_t i = 0; letters[i] != 0; i++) {
        struct target_zone *zone = &zones.zones[letters[i] - 'a'];
        bool moving = put->other_set != 0;
        zone->owners |= 1u << i;
        zone->places += !moving || (put->set >> i & 1);
        zone->other_places += put->other_set >> i & 1;
    }
}

static uint8_t zone_level(const char *word)
{
    return strstr(word, "local") != NULL ? ZONE_LEVEL_LOCAL : ZONE_LEVEL_EACH;
}

static void parse(const char *levels, struct put *ret)
{
    char word[WORD_SIZE];
    *ret = (struct put){ .quorum = { .dw = 1 }, .deadline_us = DEADLINE_US };
    while (words_next(&levels, word)) {
        uint8_t number = (uint8_t)(word[strlen(word) - 1] - '0');
        if (strcmp(word, "sloppy") == 0)
            ret->quorum.sloppy = true;
        else if (strncmp(word, "zones:", 6) == 0) /* behind set and new */
            parse_zones(word + 6, ret);
        else if (strncmp(word, "w:", 2) == 0)
            ret->quorum.zones.w = zone_level(word);
        else if (strncmp(word, "dw:", 3) == 0)
            ret->quorum.zones.dw = zone_level(word);
        else if (strncmp(word, "pw:", 3) == 0)
            ret->quorum.zones.pw = zone_level(word);
        else if (strncmp(word, "own:", 4) == 0)
            ret->owners = word_set(word + 4);
        else if (strncmp(word, "down:", 5) == 0)
            ret->unreachable = word_set(word + 5);
        else if (strncmp(word, "set:", 4) == 0)
            ret->set = word_set(word + 4);
        else if (strncmp(word, "new:", 4) == 0)
            ret->other_set = word_set(word + 4);
        else if (word[0] == 'n' && word[1] != 'c')
            ret->quorum.n = number;
        else if (word[0] == 'n')
            ret->quorum.node_confirms = number;
        else if (word[0] == 'd')
            ret->quorum.dw = number;
        else if (word[0] == 'p')
            ret->quorum.pw = number;
        else if (word[0] == 'v') /* w of the new, whose other levels are those of the old */
            ret->other.w = number;
        else if (word[0] == 't')
            ret->target_count = number;
        else
            ret->quorum.w = number;
    }
    uint32_t both = ret->set | ret->other_set;
    uint8_t places = both == 0 ? ret->quorum.n : (uint8_t)(32 - __builtin_clz(both));
    if (both != 0) {
        ret->places = places;
        ret->other.n = (uint8_t)__builtin_popcount(ret->other_set);
        ret->other.dw = ret->quorum.dw;
        ret->other.pw = ret->quorum.pw;
        ret->other.zones = ret->quorum.zones;
    }
    if (ret->target_count == 0)
        ret->target_count = places;
    if (ret->owners == 0)
        ret->owners = (1u << places) - 1;
}

static struct put_event event_of(const char *word)
{
    bool at_deadline = strchr(word, '@') != NULL || strcmp(word, "late") == 0;
    struct put_event event = { .now_us = at_deadline ? DEADLINE_US : 1, .kind = PUT_TICK };
    const char *colon = strchr(word, ':');
    if (colon != NULL)
        event.target = (uint8_t)(colon[1] <= '9' ? colon[1] - '0' : colon[1] - 'a' + 10);
    if (strncmp(word, "start", 5) == 0)
        event.kind = PUT_START;
    else if (word[0] == 'a' || word[0] == 'b')
        event.kind = PUT_ACK;
    else if (colon != NULL)
        event.kind = PUT_FAILED;
    event.durable = word[0] == 'a';
    event.refused = word[0] == 'n';
    return event;
}

static void describe(const struct put_effects *effects, char *ret_words)
{
    char word[WORD_SIZE] = "", reply[WORD_SIZE];
    word_add_set(word, "send", effects->send);
    snprintf(reply, sizeof(reply), "reply:%s", kvorum_status_name(effects->status));
    if (effects->reply)
        word_add(word, reply);
    if (effects->finished)
        word_add(word, "end");
    words_add(ret_words, word[0] == 0 ? "-" : word);
}

static void check(const void *data)
{
    const struct row *row = data;
    const char *events = row->events;
    char word[WORD_SIZE], words[WORDS_SIZE] = "";
    struct put put;
    parse(row->levels, &put);
    while (words_next(&events, word)) {
        struct put_event event = event_of(word);
        struct put_effects effects;
        put_step(&put, &event, &effects);
        describe(&effects, words);
    }
    assert_string_equal(words, row->effects);
}

int main(void)
{
    return RUN_ROWS("put", rows, check);
}
