/* SPDX-License-Identifier: Apache-2.0 */
/* What is concluded of a loss once all that may have it were asked: which of its keys nobody else
 * owns is known from the properties of buckets, and damage may have taken those as well. */
#include "tests/support/node_pets.h"
#include "tests/support/node_rot.h"

#include "node/scrub/scrub_internal.h"

enum { OWN_RECORDS = 100 }; /* a place among them */

/* Member 0 has keys of a bucket of one replica, and nobody tells it what that bucket is. */
struct waiting {
    const char *name;
    uint16_t members;
    bool records;   /* damage took properties along, else objects alone */
    bool inherited; /* the node began anew since */
    bool told;      /* others tell it their properties after all */
    bool concluded;
};

static const struct waiting waitings[] = {
    { "of what took properties nothing is concluded before another member has the same", 3, true,
      true, false, false },
    { "once one has, who owns what is looked up again, and what nobody else has is lost", 3, true,
      true, true, true },
    { "what took objects alone waits for nobody's properties", 3, false, true, false, true },
    { "nor does what was lost in this life, which has them in memory", 3, true, false, false,
      true },
    { "nor does a member that is alone", 1, true, true, false, true },
};

static struct bucket_properties one_replica(void)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.levels.n = 1;
    return properties;
}

/* Of which member 0 does not hear, so that it is not of one mind with anybody. */
static void change_behind_its_back(struct world *world)
{
    struct bucket_properties properties = one_replica();
    static struct outcome late; /* it may be answered long after */
    properties.allow_mult = 1;
    world->deaf_to_properties[0] = true;
    ask_properties(world, 1, &properties, false, &late);
}

/* Properties go, and where the node's own records stand cannot be read. */
static void lose_records(struct world *world)
{
    struct engine_batch *batch = engine_batch_create();
    assert_int_equal(engine_batch_delete_range(batch, BYTES_LITERAL("p"), BYTES_LITERAL("q")),
                     KVORUM_OK);
    assert_int_equal(engine_write(world->stores[0], batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    rot(OWN_RECORDS);
}

static const struct bytes everything;

static struct world *begin_lost(const struct waiting *row)
{
    struct world *world = begin_empty(row->members);
    struct bucket_properties properties = one_replica();
    set_properties(world, 0, &properties);
    put_keys(world, 'v');
    assert_true(count_stored(world, 0, 'o') > 4);
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    if (row->members > 1)
        change_behind_its_back(world);
    cut_others(world);
    if (!row->inherited)
        open_again(world, 0); /* with what is lost only then */
    if (!row->inherited)
        assert_true(scrub_loss_add(world->nodes[0], 0, everything, everything, false));
    else if (row->records)
        lose_records(world);
    else
        rot(PLACE_OF_FEW);
    if (!row->inherited || !row->records)
        scrub(world, 10000);
    if (row->inherited)
        open_again(world, 0);
    assert_true(counters(world)->scrub_losses > 0);
    return world;
}

static void a_loss_waits_for_properties(const void *at)
{
    const struct waiting *row = at;
    struct world *world = begin_lost(row);
    heal_others(world);
    pass(world, 30000);
    world->deaf_to_properties[0] = !row->told;
    pass(world, 30000);
    assert_int_equal(counters(world)->scrub_refilled, 0);
    assert_int_equal(counters(world)->scrub_lost > 0, row->concluded);
    assert_true(counters(world)->scrub_losses > 0);
    end(world);
}

int main(void)
{
    return RUN_ROWS("scrub, refills", waitings, a_loss_waits_for_properties);
}
