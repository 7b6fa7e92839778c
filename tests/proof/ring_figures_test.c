/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the planner: every number of members up to 64, in every number of zones up to that, as
 * founded and as grown one by one, with equal weights and with weights 1, 2, 4; from each of them a
 * join, two leaves, a replacement, two other weights, another zone.
 *
 *      imbalance   the most that a member holds / its share (what it can hold, in these zones)
 *      moves       replicas that moved / the fewest of any legal table that is as even
 *                  (tests/support/fewest_moves.h says how that is known)
 *      zones       partitions with two replicas in one zone, though there are zones enough
 *      time        of the processor, for 1,000 members and 65,536 partitions
 *
 * With KVORUM_PROOF=1 all of them (90 s); without it some. */
#include "tests/support/fewest_moves.h"
#include "tests/support/slow.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { SIZES = 64, REPLICAS = 3, PARTITIONS = RING_PARTITIONS_DEFAULT, LARGE = 1000 };

#define IMBALANCE_MAX 1.02
#define MOVES_MAX 1.02
#define SECONDS_MAX 1.0
#define MANY_SECONDS_MAX 20.0

struct shape {
    const char *name;
    uint32_t weights[3]; /* member i weighs weights[i mod 3] */
    bool grown;          /* one by one; else planned at once */
};

static const struct shape shapes[] = {
    { "equal weights, founded", { 100, 100, 100 }, false },
    { "equal weights, grown", { 100, 100, 100 }, true },
    { "weights 1, 2, 4, founded", { 100, 200, 400 }, false },
    { "weights 1, 2, 4, grown", { 100, 200, 400 }, true },
};

enum { SHAPES = sizeof(shapes) / sizeof(*shapes), EQUAL_SHAPES = 2 };

struct table {
    struct member members[RING_MEMBERS_MAX];
    uint16_t count, zones;
    uint8_t columns;
    uint32_t partitions;
    uint16_t *owners; /* partitions * REPLICAS places */
};

/* --- tables ---------------------------------------------------------------------------------- */

static struct table *make_table(uint32_t partitions)
{
    struct table *table = calloc(1, sizeof(*table));
    assert_non_null(table);
    table->partitions = partitions;
    table->owners = calloc((size_t)partitions * REPLICAS, sizeof(*table->owners));
    assert_non_null(table->owners);
    return table;
}

static void free_table(struct table *table)
{
    free(table->owners);
    free(table);
}

static void copy_table(const struct table *from, struct table *to)
{
    uint16_t *owners = to->owners;
    *to = *from;
    to->owners = owners;
    memcpy(owners, from->owners, (size_t)from->partitions * REPLICAS * sizeof(*owners));
}

static void set_zone(struct table *table, uint16_t member, unsigned zone)
{
    snprintf(table->members[member].zone, sizeof(table->members[member].zone), "z%u", zone);
}

static void add_member(struct table *table, const struct shape *shape)
{
    uint16_t i = table->count++;
    struct member *member = &table->members[i];
    memset(member, 0, sizeof(*member));
    member->id.bytes[0] = (uint8_t)i;
    member->id.bytes[1] = (uint8_t)(i >> 8);
    member->weight = shape->weights[i % 3];
    set_zone(table, i, i % table->zones);
}

/* Plan what `table` has members for, from the owners it has; NULL forgets them. */
static void plan(struct table *table, const uint16_t *previous)
{
    struct arena arena;
    const char *why = "";
    arena_init(&arena, 1 << 26);
    uint8_t columns = table->count < REPLICAS ? (uint8_t)table->count : REPLICAS;
    size_t places = (size_t)table->partitions * columns;
    uint16_t *rows = arena_allocate(&arena, places * sizeof(*rows));
    assert_non_null(rows);
    for (size_t i = 0; previous != NULL && i < places; i++) {
        size_t p = i / columns, c = i % columns;
        rows[i] = c < table->columns ? previous[p * table->columns + c] : RING_NO_MEMBER;
    }
    struct ring_plan_input input = { table->members, table->count, table->partitions, REPLICAS,
                                     previous == NULL ? NULL : rows };
    assert_int_equal(ring_plan(&input, &arena, table->owners, &why), KVORUM_OK);
    table->columns = columns;
    arena_done(&arena);
}

static void forget_owner(struct table *table, uint16_t member, uint16_t instead)
{
    for (size_t i = 0; i < (size_t)table->partitions * table->columns; i++)
        if (table->owners[i] == member)
            table->owners[i] = instead;
}

/* --- changes: members and owners as they stand before the planner is asked ------------------- */

static bool join(struct table *table, const struct shape *shape)
{
    add_member(table, shape);
    return true;
}

static bool leave_last(struct table *table, const struct shape *shape)
{
    (void)shape;
    if (table->count <= REPLICAS)
        return false;
    forget_owner(table, --table->count, RING_NO_MEMBER);
    return true;
}

/* The last one takes the slot of the first, which goes. */
static bool leave_first(struct table *table, const struct shape *shape)
{
    (void)shape;
    if (table->count <= REPLICAS)
        return false;
    forget_owner(table, 0, RING_NO_MEMBER);
    table->members[0] = table->members[--table->count];
    forget_owner(table, table->count, 0);
    return true;
}

/* Nobody knows the newcomer's disk; whatever it owns moves. */
static bool replace(struct table *table, const struct shape *shape)
{
    (void)shape;
    forget_owner(table, 0, RING_NO_MEMBER);
    return true;
}

static bool weigh_more(struct table *table, const struct shape *shape)
{
    (void)shape;
    table->members[0].weight = table->members[0].weight * 3 / 2;
    return true;
}

static bool weigh_less(struct table *table, const struct shape *shape)
{
    (void)shape;
    table->members[0].weight /= 2;
    return true;
}

static bool change_zone(struct table *table, const struct shape *shape)
{
    (void)shape;
    set_zone(table, 0, table->zones / 2);
    return table->zones > 1;
}

static const struct {
    const char *name;
    bool (*apply)(struct table *table, const struct shape *shape);
} changes[] = {
    { "a node joins", join },
    { "the last node leaves", leave_last },
    { "the first node leaves", leave_first },
    { "a node is replaced", replace },
    { "a node weighs 3/2", weigh_more },
    { "a node weighs 1/2", weigh_less },
    { "a node changes its zone", change_zone },
};

enum { CHANGES = sizeof(changes) / sizeof(*changes) };

/* --- what is counted ------------------------------------------------------------------------- */

struct sum {
    uint32_t plans, moved, fewest;
    double worst;
};

struct figures {
    double imbalance; /* with equal weights */
    double over_best; /* with any: imbalance / what whole numbers allow */
    uint32_t plans, violations;
    struct sum changes[CHANGES], five_to_six;
};

static bool is_whole_proof(void)
{
    const char *text = getenv("KVORUM_PROOF");
    return text != NULL && strcmp(text, "1") == 0;
}

static uint32_t violations_of(const struct table *table)
{
    struct ring_zones zones;
    uint32_t found = 0;
    ring_zones_init(&zones, table->members, table->count);
    for (uint32_t p = 0; zones.count >= table->columns && p < table->partitions; p++) {
        const uint16_t *row = table->owners + (size_t)p * table->columns;
        bool twice = false;
        for (uint8_t a = 0; a < table->columns; a++)
            for (uint8_t b = 0; b < a; b++)
                twice |= zones.of[row[a]] == zones.of[row[b]];
        found += twice;
    }
    return found;
}

/* How full the fullest of some members must be so that whole replicas add up to `total`, with
 * nobody one or more above its share: raise the level until they do, each time to where the next
 * one takes one more. */
static double level_of(const double *shares, uint16_t count, double total)
{
    double level = 1;
    for (;;) {
        double sum = 0, next = 1e9;
        for (uint16_t m = 0; m < count; m++) {
            double whole = floor(shares[m] + 1e-4), more = (whole + 1) / shares[m];
            bool has_more = whole < shares[m] && more <= level * (1 + 1e-9);
            if (!has_more && whole < shares[m] && more < next)
                next = more;
            sum += whole + has_more;
        }
        if (sum + 0.5 >= total)
            return level;
        level = next;
    }
}

/* The least imbalance that whole numbers allow: of each zone that has to hold as much as a zone
 * may, and of all the others together. */
static double best_of(const struct table *table)
{
    static uint64_t exact[RING_MEMBERS_MAX];
    double rest[RING_MEMBERS_MAX], rest_total = (double)table->partitions * table->columns;
    double best = 1;
    uint16_t rest_count = 0;
    struct ring_zones zones;
    ring_zones_init(&zones, table->members, table->count);
    uint8_t limit = ring_zone_limit(&zones, table->members, table->count, table->columns);
    ring_shares(&zones, table->members, table->count, table->partitions, table->columns, limit,
                exact);
    for (uint16_t z = 0; z < zones.count; z++) {
        double shares[RING_MEMBERS_MAX], sum = 0, full = (double)table->partitions * limit;
        uint16_t count = 0;
        for (uint16_t m = 0; m < table->count; m++)
            if (zones.of[m] == z)
                sum += shares[count++] = (double)exact[m] / (1 << SHARE_BITS);
        if (sum < full - 0.5) {
            memcpy(rest + rest_count, shares, count * sizeof(*shares));
            rest_count = (uint16_t)(rest_count + count);
            continue;
        }
        double level = level_of(shares, count, full);
        best = level > best ? level : best;
        rest_total -= full;
    }
    double level = level_of(rest, rest_count, rest_total);
    return level > best ? level : best;
}

static void look(const struct table *table, bool equal, struct figures *figures)
{
    struct epoch epoch = { .partition_count = table->partitions,
                           .replica_count = table->columns,
                           .replicas_wanted = REPLICAS,
                           .member_count = table->count,
                           .members = (struct member *)table->members,
                           .table = table->owners };
    figures->plans++;
    figures->violations += violations_of(table);
    double imbalance = ring_imbalance(&epoch), over = imbalance / best_of(table);
    figures->over_best = over > figures->over_best ? over : figures->over_best;
    if (equal && imbalance > figures->imbalance)
        figures->imbalance = imbalance;
}

static void add_to(struct sum *sum, uint32_t moved, uint32_t fewest)
{
    double ratio = fewest == 0 ? (moved == 0 ? 1 : 1e9) : (double)moved / fewest;
    sum->plans++;
    sum->moved += moved;
    sum->fewest += fewest;
    sum->worst = ratio > sum->worst ? ratio : sum->worst;
}

static void try_change(const struct table *base, size_t change, const struct shape *shape,
                       struct table *scratch, struct table *after, struct figures *figures)
{
    copy_table(base, scratch);
    if (!changes[change].apply(scratch, shape))
        return;
    copy_table(scratch, after);
    plan(after, scratch->owners);
    bool equal = shape < shapes + EQUAL_SHAPES && changes[change].apply != weigh_more &&
                 changes[change].apply != weigh_less && changes[change].apply != change_zone;
    look(after, equal, figures);
    uint32_t moved;
    uint32_t fewest =
        fewest_moves(&(struct fewest_table){ scratch->members, scratch->count, scratch->partitions,
                                             scratch->columns, scratch->owners },
                     &(struct fewest_table){ after->members, after->count, after->partitions,
                                             after->columns, after->owners },
                     false, &moved);
    add_to(&figures->changes[change], moved, fewest);
    if (changes[change].apply == join && base->count == 5)
        add_to(&figures->five_to_six, moved, fewest);
}

static bool is_looked_at(uint16_t count, uint16_t zones)
{
    if (is_whole_proof() || count == 5)
        return true;
    bool some = count <= 7 || count == 18 || count == 32 || count == 59 || count == SIZES;
    return some && (zones <= 5 || zones == count / 2 || zones == count);
}

static void try_zones(uint16_t zones, const struct shape *shape, struct table *tables[3],
                      struct figures *figures)
{
    struct table *base = tables[0];
    base->count = 0;
    base->columns = 0;
    base->zones = zones;
    for (uint16_t count = 1; count <= SIZES; count++) {
        add_member(base, shape);
        bool looked_at = zones <= count && is_looked_at(count, zones);
        if (!shape->grown && !looked_at)
            continue;
        plan(base, shape->grown && count > 1 ? base->owners : NULL);
        if (!looked_at)
            continue;
        look(base, shape < shapes + EQUAL_SHAPES, figures);
        for (size_t change = 0; change < CHANGES; change++)
            try_change(base, change, shape, tables[1], tables[2], figures);
    }
}

static void print(const struct figures *figures)
{
    struct sum all = { 0 };
    printf("# %-24s  %6s  %9s  %9s  %s\n", "change", "plans", "moves", "fewest", "worst ratio");
    for (size_t i = 0; i < CHANGES; i++) {
        const struct sum *sum = &figures->changes[i];
        printf("# %-24s  %6u  %9u  %9u  %.4f\n", changes[i].name, sum->plans, sum->moved,
               sum->fewest, sum->worst);
        all.plans += sum->plans;
        all.worst = sum->worst > all.worst ? sum->worst : all.worst;
    }
    printf("# figure imbalance %.4f; %u plans of 1 to 65 members in 1 to 64 zones\n",
           figures->imbalance, figures->plans);
    printf("# figure imbalance-over-best %.4f; against the best that whole numbers allow\n",
           figures->over_best);
    printf("# figure moves %.4f; %u changes, against a circulation of least cost\n", all.worst,
           all.plans);
    printf("# figure five-to-six %.4f; %u moves in %u joins, fewest %u\n",
           figures->five_to_six.worst, figures->five_to_six.moved, figures->five_to_six.plans,
           figures->five_to_six.fewest);
    printf("# figure zone-violations %u; %u plans\n", figures->violations, figures->plans);
}

static void every_size_is_even_and_moves_little(void **state)
{
    (void)state;
    static struct figures figures;
    struct table *tables[3];
    for (size_t i = 0; i < 3; i++)
        tables[i] = make_table(PARTITIONS);
    for (size_t s = 0; s < SHAPES; s++)
        for (uint16_t zones = 1; zones <= SIZES; zones++)
            try_zones(zones, &shapes[s], tables, &figures);
    print(&figures);
    assert_true(figures.imbalance <= IMBALANCE_MAX);
    assert_int_equal(figures.violations, 0);
    for (size_t i = 0; i < CHANGES; i++)
        assert_true(figures.changes[i].worst <= MOVES_MAX);
    for (size_t i = 0; i < 3; i++)
        free_table(tables[i]);
}

/* --- time ------------------------------------------------------------------------------------ */

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double time_of(struct table *table, const uint16_t *previous)
{
    double start_s = processor_s();
    plan(table, previous);
    return processor_s() - start_s;
}

static void a_thousand_members_are_planned_in_a_second(void **state)
{
    (void)state;
    double slow = slowness() > 1 ? 4 * slowness() : 1, worst = 0;
    struct table *before = make_table(RING_PARTITIONS_MAX),
                 *after = make_table(RING_PARTITIONS_MAX);
    for (uint16_t zones = 1; zones <= 50; zones = zones == 1 ? 3 : (uint16_t)(zones * 4)) {
        before->count = before->columns = 0;
        before->zones = zones;
        while (before->count < LARGE - 1)
            add_member(before, &shapes[0]);
        double took_s = time_of(before, NULL);
        worst = took_s > worst ? took_s : worst;
        for (size_t change = 0; change < CHANGES; change++) {
            copy_table(before, after);
            if (!changes[change].apply(after, &shapes[0]))
                continue;
            uint16_t *previous = calloc((size_t)RING_PARTITIONS_MAX * REPLICAS, sizeof(*previous));
            assert_non_null(previous);
            memcpy(previous, after->owners,
                   (size_t)RING_PARTITIONS_MAX * REPLICAS * sizeof(*previous));
            took_s = time_of(after, previous);
            worst = took_s > worst ? took_s : worst;
            free(previous);
        }
    }
    printf("# figure planner-s %.3f; %d members, %d partitions, fresh and each change\n", worst,
           LARGE, RING_PARTITIONS_MAX);
    assert_true(worst < SECONDS_MAX * slow);
    free_table(before);
    free_table(after);
}

/* --- many at once ---------------------------------------------------------------------------- */

enum { MOVERS = 100 };

static bool owns_place(const uint16_t *row, uint8_t columns, uint16_t member)
{
    for (uint8_t c = 0; c < columns; c++)
        if (row[c] == member)
            return true;
    return false;
}

/* Replicas that stand where their member had none before. */
static uint32_t moves_of(const struct table *before, const struct table *after)
{
    uint32_t moves = 0;
    for (uint32_t p = 0; p < after->partitions; p++)
        for (uint8_t c = 0; c < after->columns; c++)
            moves += !owns_place(before->owners + (size_t)p * before->columns, before->columns,
                                 after->owners[(size_t)p * after->columns + c]);
    return moves;
}

/* Any table with these loads moves at least so many: whoever holds more than before was given it,
 * and of two replicas in one zone of a partition, where that must not be, one goes. */
static uint32_t moves_at_least(const struct table *before, const struct table *after)
{
    static uint32_t held[RING_MEMBERS_MAX], holds[RING_MEMBERS_MAX];
    size_t places = (size_t)after->partitions * after->columns;
    uint32_t gains = 0;
    memset(held, 0, sizeof(held));
    memset(holds, 0, sizeof(holds));
    for (size_t i = 0; i < places; i++) {
        held[before->owners[i]]++;
        holds[after->owners[i]]++;
    }
    for (uint16_t m = 0; m < after->count; m++)
        gains += holds[m] > held[m] ? holds[m] - held[m] : 0;
    uint32_t crowded = violations_of(before);
    return gains > crowded ? gains : crowded;
}

/* Each of every tenth member goes to the next zone but one, as if rooms were laid out anew. */
static void move_many(struct table *table)
{
    for (uint16_t i = 0; i < MOVERS; i++) {
        uint16_t member = (uint16_t)(i * (LARGE / MOVERS));
        set_zone(table, member, (member % table->zones + 1u + i % 2) % table->zones);
    }
}

static void a_hundred_members_change_zones_at_once(void **state)
{
    (void)state;
    double slow = slowness() > 1 ? 4 * slowness() : 1, worst = 0, ratio = 1;
    struct table *before = make_table(RING_PARTITIONS_MAX),
                 *after = make_table(RING_PARTITIONS_MAX);
    static const uint16_t zone_counts[] = { 3, 4, 12, 48 };
    for (size_t i = 0; i < sizeof(zone_counts) / sizeof(*zone_counts); i++) {
        before->count = before->columns = 0;
        before->zones = zone_counts[i];
        while (before->count < LARGE)
            add_member(before, &shapes[0]);
        plan(before, NULL);
        move_many(before);
        copy_table(before, after);
        double took_s = time_of(after, before->owners);
        uint32_t moves = moves_of(before, after), least = moves_at_least(before, after);
        printf("# %u zones: %.2f s, %u moves, at least %u\n", zone_counts[i], took_s, moves, least);
        assert_int_equal(violations_of(after), 0);
        worst = took_s > worst ? took_s : worst;
        ratio = (double)moves / least > ratio ? (double)moves / least : ratio;
    }
    printf("# figure planner-many-s %.3f; %d of %d members change zones at once, %d partitions\n",
           worst, MOVERS, LARGE, RING_PARTITIONS_MAX);
    printf("# figure planner-many-moves %.4f; against what any table with these loads must move\n",
           ratio);
    assert_true(worst < MANY_SECONDS_MAX * slow);
    free_table(before);
    free_table(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_even_and_moves_little),
        cmocka_unit_test(a_thousand_members_are_planned_in_a_second),
        cmocka_unit_test(a_hundred_members_change_zones_at_once),
    };
    return cmocka_run_group_tests_name("ring figures", tests, NULL, NULL);
}
