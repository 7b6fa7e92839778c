/* SPDX-License-Identifier: Apache-2.0 */
/* Events: "start", "0=a" (target 0 has digest a), "0=A" (and sends the object), "0=-" (has
 * nothing), "lost:0", "tick", "late" (a tick at the deadline).  An "@" behind an event: at the
 * deadline. Effects, a word an event: "full:0,digest:12" (asked), "reply:OK", "end", "-" for none.
 * */
#include "cluster/replication/get.h"

#include "tests/support/rows.h"
#include "tests/support/words.h"

struct row {
    const char *name;
    const char
        *levels; /* "n3 r2": t targets (default n), notfound_ok unless "strictly"; pr nc "own:01"
                           (default: the first n), "down:1", "sloppy", "basic" */
    const char *events, *effects;
};

#define ASKED "full:0,digest:12"

static const struct row rows[] = {
    /* r */
    { "r=1 is done with the object", "n3 r1", "start 0=A", ASKED " reply:OK" },
    { "r=2 is done when the digest agrees", "n3 r2", "start 0=A 2=a", ASKED " - reply:OK" },
    { "the digest first, then the object", "n3 r2", "start 1=a 0=A", ASKED " - reply:OK" },
    { "r=3, all agree", "n3 r3", "start 1=a 2=a 0=A", ASKED " - - reply:OK,end" },
    { "one copy", "n1 r1", "start 0=A", "full:0 reply:OK,end" },
    { "a small object comes although the digest was asked", "n3 r1", "start 2=A",
      ASKED " reply:OK" },
    { "the rest may come late and ends it", "n3 r1", "start 0=A 1=a 2=a", ASKED " reply:OK - end" },
    { "the rest may fail and ends it", "n3 r1", "start 0=A lost:1 lost:2",
      ASKED " reply:OK - end" },
    { "nothing happens after the end", "n1 r1", "start 0=A 0=B lost:0 late start",
      "full:0 reply:OK,end - - - -" },
    { "nothing happens before the start", "n2 r1", "0=A lost:0 late start",
      "- - - full:0,digest:1" },
    { "it starts once", "n2 r1", "start start 0=A", "full:0,digest:1 - reply:OK" },
    { "the same answer twice is one", "n3 r2", "start 0=A 0=A 0=A 1=a", ASKED " - - - reply:OK" },
    { "the same digest twice is one", "n3 r2", "start 1=a 1=a 0=A", ASKED " - - reply:OK" },
    { "an answer of nobody", "n3 r1", "start 3=A 9=A f=A 0=A", ASKED " - - - reply:OK" },
    { "an object again is not believed", "n3 r2", "start 0=A 0=B 1=a", ASKED " - - reply:OK" },
    { "another digest again is not believed", "n3 r2", "start 1=a 1=b 0=A", ASKED " - - reply:OK" },
    /* not found */
    { "nobody has it", "n3 r2", "start 0=- 1=-", ASKED " - reply:NOT_FOUND" },
    { "not found counts toward r", "n3 r2", "start 1=- 0=A", ASKED " - reply:OK" },
    { "r=1, not found at once", "n3 r1", "start 1=-", ASKED " reply:NOT_FOUND" },
    { "not found is not said while somebody is known to have it", "n3 r2", "start 2=a 0=- 1=- 2=A",
      ASKED " - full:2 - reply:OK,end" },
    { "it was there, and is not any more when it is asked for", "n2 r2", "start 1=a 0=- 1=-",
      "full:0,digest:1 - full:1 reply:NOT_FOUND,end" },
    { "strictly: not found does not count", "n3 r2 strictly", "start 0=- 1=a 2=A",
      ASKED " - - reply:OK,end" },
    { "strictly: enough not found is an answer", "n3 r2 strictly", "start 0=- 1=-",
      ASKED " - reply:NOT_FOUND" },
    { "strictly: r=1 waits for the last", "n3 r1 strictly", "start 0=- 1=- 2=-",
      ASKED " - - reply:NOT_FOUND,end" },
    { "strictly: r=1 finds it with the last", "n3 r1 strictly", "start 0=- 1=- 2=A",
      ASKED " - - reply:OK,end" },
    { "strictly: r=all and one has nothing", "n3 r3 strictly", "start 1=-",
      ASKED " reply:NOT_FOUND" },
    { "strictly: some have it, too few do", "n3 r2 strictly", "start 0=A 1=- 2=-",
      ASKED " - - reply:UNAVAILABLE,end" },
    { "strictly: one has nothing, one failed", "n3 r2 strictly", "start 0=- lost:1",
      ASKED " - reply:UNAVAILABLE" },
    { "basic_quorum: a majority has nothing", "n3 r1 strictly basic", "start 0=- 1=-",
      ASKED " - reply:NOT_FOUND" },
    { "basic_quorum: a majority of five", "n5 r1 strictly basic", "start 0=- 1=- 2=-",
      "full:0,digest:1234 - - reply:NOT_FOUND" },
    { "basic_quorum: not while somebody has it", "n5 r3 strictly basic", "start 4=a 0=- 1=- 2=-",
      "full:0,digest:1234 - - - reply:UNAVAILABLE,full:4" },
    { "basic_quorum changes nothing where not found counts", "n3 r3 basic", "start 0=- 1=- 2=A",
      ASKED " - - reply:OK,end" },
    { "basic_quorum: failures are not absence", "n3 r1 strictly basic", "start lost:0 1=- 2=A",
      ASKED " - - reply:OK,end" },
    /* pr, node_confirms */
    { "pr waits for an owner", "n3 r1 pr1 own:2", "start 0=A 1=a 2=a", ASKED " - - reply:OK,end" },
    { "pr cannot be met when the owner fails", "n3 r1 pr1 own:2", "start lost:2",
      ASKED " reply:UNAVAILABLE" },
    { "pr cannot be met when the owner is down", "n3 r1 pr1 own:2 down:2 sloppy t4", "start",
      "reply:UNAVAILABLE,end" },
    { "strictly: pr needs owners that have it", "n3 r1 pr2 strictly", "start 0=- 1=A 2=a",
      ASKED " - - reply:OK,end" },
    { "strictly: nobody has it, pr or not", "n3 r1 pr2 strictly", "start 0=- 1=-",
      ASKED " - reply:NOT_FOUND" },
    { "node_confirms counts nodes", "n3 r1 nc2", "start 0=A 1=a", ASKED " - reply:OK" },
    { "node_confirms cannot be met", "n3 r1 nc3", "start 0=A lost:1",
      ASKED " - reply:UNAVAILABLE" },
    /* zones: a letter for each owner, "a" is the coordinator's */
    { "local: the one here is enough", "n3 zones:abb r:local", "start 0=A", ASKED " reply:OK" },
    { "local: others do not help", "n3 zones:abb r:local", "start 1=A 2=a 0=a",
      ASKED " - - reply:OK,end" },
    { "local: both that are here", "n3 zones:aab r:local", "start 0=A 2=a 1=a",
      ASKED " - - reply:OK,end" },
    { "local: the one here fails", "n3 zones:abb r:local", "start lost:0",
      ASKED " reply:UNAVAILABLE" },
    { "local: a stand-in is no replica of the zone", "n3 zones:abb r:local down:0 sloppy t4",
      "start", "reply:UNAVAILABLE,end" },
    { "local: not found here is not found", "n3 zones:abb r:local", "start 0=-",
      ASKED " reply:NOT_FOUND" },
    { "local, strictly: the one here has nothing", "n3 zones:abb r:local strictly", "start 0=-",
      ASKED " reply:NOT_FOUND" },
    { "local, strictly: the one here has nothing, another has it", "n3 zones:abb r:local strictly",
      "start 1=a 0=-", ASKED " - reply:UNAVAILABLE,full:1" },
    { "each: one of every zone", "n3 zones:abc r:each", "start 0=A 1=a 2=a",
      ASKED " - - reply:OK,end" },
    { "each: a zone fails", "n3 zones:abc r:each", "start 0=A lost:1",
      ASKED " - reply:UNAVAILABLE" },
    /* fetching */
    { "enough digests, and the object is asked for", "n3 r2", "start 1=a 2=a 1=A",
      ASKED " - full:1 reply:OK" },
    { "the first object comes while another is fetched", "n3 r2", "start 1=a 2=a 0=A 1=A",
      ASKED " - full:1 reply:OK,end -" },
    { "another version is fetched before the reply", "n2 r2", "start 0=A 1=b 1=B",
      "full:0,digest:1 - full:1 reply:OK,end" },
    { "two other versions are fetched", "n3 r3", "start 0=A 1=b 2=c 2=C 1=B",
      ASKED " - - full:12 - reply:OK,end" },
    { "one holder of a digest is enough", "n3 r3", "start 0=A 1=b 2=b 1=B",
      ASKED " - - full:1 reply:OK,end" },
    { "the other holder is asked when the first fails", "n3 r2", "start 1=b 2=b lost:1 2=B",
      ASKED " - full:1 full:2 reply:OK" },
    { "no holder is left: their answers are void", "n3 r2", "start 1=b 2=b lost:1 lost:2 0=A",
      ASKED " - full:1 full:2 reply:UNAVAILABLE end" },
    { "a void answer leaves a quorum of others", "n3 r2", "start 1=b 0=A lost:1 2=a",
      ASKED " - full:1 - reply:OK,end" },
    { "it has changed meanwhile: the newer object is as good", "n3 r2", "start 1=a 2=a 1=B 2=A",
      ASKED " - full:1 full:2 reply:OK" },
    { "enough complete answers do not wait for a straggler", "n3 r2", "start 2=b 0=A 1=a 2=B",
      ASKED " - full:2 reply:OK end" },
    { "an object nobody asked for completes a digest", "n3 r2", "start 1=a 1=A 2=a",
      ASKED " - - reply:OK" },
    /* after the reply */
    { "a newer object turns up after the reply and is fetched", "n3 r1", "start 0=A 1=b 2=a 1=B",
      ASKED " reply:OK full:1 - end" },
    { "its holder fails: nothing to repair from", "n3 r1", "start 0=A 1=b lost:1 2=a",
      ASKED " reply:OK full:1 - end" },
    { "repair waits no longer than the deadline", "n3 r1", "start 0=A 1=b late",
      ASKED " reply:OK full:1 end" },
    { "no spare is asked after the reply", "n2 r1 t3 sloppy", "start 0=A lost:1",
      "full:0,digest:1 reply:OK end" },
    /* strict */
    { "one fails, two are left for r=2", "n3 r2", "start lost:0 1=a 2=a 1=A",
      ASKED " - - full:1 reply:OK,end" },
    { "two of three fail, r=2", "n3 r2", "start lost:0 lost:1", ASKED " - reply:UNAVAILABLE" },
    { "all fail", "n2 r1", "start lost:0 lost:1", "full:0,digest:1 - reply:UNAVAILABLE,end" },
    { "a failure twice is one", "n3 r2", "start lost:0 lost:0 1=A 2=a",
      ASKED " - - - reply:OK,end" },
    { "a failure of nobody", "n2 r2", "start lost:2 lost:9 0=A 1=a",
      "full:0,digest:1 - - - reply:OK,end" },
    { "a failure after the object is none", "n2 r2", "start 0=A lost:0 1=a",
      "full:0,digest:1 - - reply:OK,end" },
    { "a failure after a digest that another has in full", "n3 r3", "start 0=A 1=a lost:1 2=a",
      ASKED " - - - reply:OK,end" },
    { "an answer after a failure counts", "n2 r2", "start lost:0 0=A",
      "full:0,digest:1 reply:UNAVAILABLE -" },
    { "an answer after a failure counts toward r", "n3 r2", "start lost:0 0=A 1=a",
      ASKED " - - reply:OK" },
    { "the only holder of the only digest fails", "n1 r1", "start 0=a lost:0",
      "full:0 - reply:UNAVAILABLE,end" },
    { "a digest that comes after a failure is asked for in full again", "n3 r2",
      "start lost:0 0=b 1=b 0=B", ASKED " - - full:0 reply:OK" },
    { "the first that is up is asked in full", "n3 r2 down:0", "start 1=A 2=a",
      "full:1,digest:2 - reply:OK,end" },
    { "too few are up: nobody is asked", "n3 r2 down:01", "start 2=A", "reply:UNAVAILABLE,end -" },
    { "strict never asks a spare", "n2 r2 t4", "start lost:0",
      "full:0,digest:1 reply:UNAVAILABLE" },
    /* sloppy */
    { "a spare for one that fails", "n2 r2 t4 sloppy", "start lost:1 2=- 0=A",
      "full:0,digest:1 digest:2 - reply:OK,end" },
    { "a spare for one that is down", "n2 r2 t4 down:0 sloppy", "start 1=A 2=a",
      "full:1,digest:2 - reply:OK,end" },
    { "spares that are down are passed over", "n2 r2 t5 down:23 sloppy", "start lost:0 1=A 4=a",
      "full:0,digest:1 digest:4 - reply:OK,end" },
    { "no spare is left", "n2 r2 t3 sloppy", "start lost:0 lost:1",
      "full:0,digest:1 digest:2 reply:UNAVAILABLE" },
    { "a spare for each void answer", "n2 r2 t4 sloppy", "start 0=a 1=a lost:0 lost:1 2=A 3=a",
      "full:0,digest:1 - - full:1 digest:23 - reply:OK,end" },
    { "strictly: a digest that may fail is no hope for a spare", "n2 r2 t3 sloppy strictly",
      "start 0=- 1=a 1=A", "full:0,digest:1 - reply:UNAVAILABLE,full:1 end" },
    /* time */
    { "a tick before the deadline is silent", "n2 r2", "start tick 0=A tick 1=a",
      "full:0,digest:1 - - - reply:OK,end" },
    { "the deadline", "n2 r2", "start 0=A late", "full:0,digest:1 - reply:TIMEOUT,end" },
    { "the deadline after the reply", "n2 r1", "start 0=A late", "full:0,digest:1 reply:OK end" },
    { "the deadline while fetching", "n3 r2", "start 1=a 2=a late",
      ASKED " - full:1 reply:TIMEOUT,end" },
    { "an answer that meets the deadline in the door counts", "n2 r2", "start 0=A 1=a@",
      "full:0,digest:1 - reply:OK,end" },
    { "a failure at the deadline asks no spare", "n2 r2 t3 sloppy", "start lost:0@",
      "full:0,digest:1 reply:TIMEOUT,end" },
    { "a start at the deadline asks nobody", "n2 r1", "start@", "reply:UNAVAILABLE,end" },
};

enum { DEADLINE_US = 1000 };

/* "zones:aab": the letter of each owner; 'a' is the coordinator's. */
static void parse_zones(const char *letters, struct get *get)
{
    static struct target_zones zones; /* of the case at hand */
    zones = (struct target_zones){ .count = 3 };
    get->zones = &zones;
    for (uint8_t i = 0; letters[i] != 0; i++) {
        zones.zones[letters[i] - 'a'].owners |= 1u << i;
        zones.zones[letters[i] - 'a'].places++;
    }
}

static void parse(const char *levels, struct get *ret)
{
    char word[WORD_SIZE];
    *ret = (struct get){ .quorum = { .notfound_ok = true }, .deadline_us = DEADLINE_US };
    while (words_next(&levels, word)) {
        uint8_t number = (uint8_t)(word[strlen(word) - 1] - '0');
        if (strcmp(word, "sloppy") == 0)
            ret->quorum.sloppy = true;
        else if (strncmp(word, "zones:", 6) == 0)
            parse_zones(word + 6, ret);
        else if (strcmp(word, "r:local") == 0)
            ret->quorum.zones.r = ZONE_LEVEL_LOCAL;
        else if (strcmp(word, "r:each") == 0)
            ret->quorum.zones.r = ZONE_LEVEL_EACH;
        else if (strcmp(word, "strictly") == 0)
            ret->quorum.notfound_ok = false;
        else if (strcmp(word, "basic") == 0)
            ret->quorum.basic_quorum = true;
        else if (strncmp(word, "own:", 4) == 0)
            ret->owners = word_set(word + 4);
        else if (strncmp(word, "down:", 5) == 0)
            ret->unreachable = word_set(word + 5);
        else if (word[0] == 'n' && word[1] != 'c')
            ret->quorum.n = number;
        else if (word[0] == 'n')
            ret->quorum.node_confirms = number;
        else if (word[0] == 'p')
            ret->quorum.pr = number;
        else if (word[0] == 't')
            ret->target_count = number;
        else
            ret->quorum.r = number;
    }
    if (ret->target_count == 0)
        ret->target_count = ret->quorum.n;
    if (ret->owners == 0)
        ret->owners = (1u << ret->quorum.n) - 1;
}

static uint8_t target_of(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static struct get_event event_of(const char *word)
{
    bool at_deadline = strchr(word, '@') != NULL || strcmp(word, "late") == 0;
    struct get_event event = { .now_us = at_deadline ? DEADLINE_US : 1, .kind = GET_TICK };
    if (strncmp(word, "start", 5) == 0) {
        event.kind = GET_START;
    } else if (strncmp(word, "lost:", 5) == 0) {
        event.kind = GET_FAILED;
        event.target = target_of(word[5]);
    } else if (word[1] == '=') {
        event.kind = GET_ANSWER;
        event.target = target_of(word[0]);
        event.full = word[2] <= 'Z';
        event.digest = word[2] == '-' ? 0 : (uint64_t)(word[2] | 0x20);
    }
    return event;
}

static void describe(const struct get_effects *effects, char *ret_words)
{
    char word[WORD_SIZE] = "", reply[WORD_SIZE];
    snprintf(reply, sizeof(reply), "reply:%s", kvorum_status_name(effects->status));
    if (effects->reply)
        word_add(word, reply);
    word_add_set(word, "full", effects->ask_full);
    word_add_set(word, "digest", effects->ask_digest);
    if (effects->finished)
        word_add(word, "end");
    words_add(ret_words, word[0] == 0 ? "-" : word);
}

static void check(const void *data)
{
    const struct row *row = data;
    const char *events = row->events;
    char word[WORD_SIZE], words[WORDS_SIZE] = "";
    struct get get;
    parse(row->levels, &get);
    while (words_next(&events, word)) {
        struct get_event event = event_of(word);
        struct get_effects effects;
        get_step(&get, &event, &effects);
        describe(&effects, words);
    }
    assert_string_equal(words, row->effects);
}

int main(void)
{
    return RUN_ROWS("get", rows, check);
}
