/* SPDX-License-Identifier: Apache-2.0 */
#include "node/records.h"

#include "node/internal.h"
#include "tests/support/node_world.h"

static const struct record_area area = { "numbers", "xb", "xd" };

struct seen {
    char keys[64];
    const char *refused; /* or NULL */
    kvorum_status status;
};

static kvorum_status see(struct node *node, struct bytes key, struct bytes value, void *context)
{
    struct seen *seen = context;
    size_t used = strlen(seen->keys);
    (void)node;
    snprintf(seen->keys + used, sizeof(seen->keys) - used, "%.*s=%.*s ", (int)key.size,
             (const char *)key.data, (int)value.size, (const char *)value.data);
    return seen->refused != NULL && bytes_equal(key, bytes_of_string(seen->refused)) ? seen->status
                                                                                     : KVORUM_OK;
}

static char logged[512];

static void write_line(void *context, enum log_level level, struct bytes line)
{
    (void)context;
    (void)level;
    snprintf(logged, sizeof(logged), "%.*s", (int)line.size, (const char *)line.data);
}

static const struct log test_log = { .level = LOG_LEVEL_ERROR, .write = write_line };

/* With four records, of which two are in the area. */
static struct world *begin(void)
{
    static const char *const keys[] = { "xa1", "xb1", "xc2", "xd3" };
    struct world *world = world_make(1);
    struct engine_batch *batch = engine_batch_create();
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        assert_int_equal(
            engine_batch_put(batch, bytes_of_string(keys[i]), bytes_of_string(keys[i] + 2)),
            KVORUM_OK);
    assert_int_equal(engine_write(world->stores[0], batch, ENGINE_NONE), KVORUM_OK);
    engine_batch_destroy(batch);
    world->nodes[0]->config.log = &test_log;
    logged[0] = '\0';
    return world;
}

static kvorum_status load(struct world *world, struct seen *seen)
{
    return records_load(world->nodes[0], world->stores[0], &area, see, seen);
}

static void an_area_is_handed_over_whole_and_alone(void)
{
    struct world *world = begin();
    struct seen seen = { 0 };
    assert_int_equal(load(world, &seen), KVORUM_OK);
    assert_string_equal(seen.keys, "xb1=1 xc2=2 ");
    assert_string_equal(logged, "");
    world_free(world);
}

static void what_is_not_taken_ends_it(void)
{
    struct world *world = begin();
    struct seen seen = { .refused = "xb1", .status = KVORUM_NO_MEMORY };
    assert_int_equal(load(world, &seen), KVORUM_NO_MEMORY);
    assert_string_equal(seen.keys, "xb1=1 ");
    assert_string_equal(logged, "");
    world_free(world);
}

static void a_malformed_record_is_named(void)
{
    struct world *world = begin();
    struct seen seen = { .refused = "xc2", .status = KVORUM_CORRUPT };
    assert_int_equal(load(world, &seen), KVORUM_CORRUPT);
    assert_non_null(strstr(logged, "numbers"));
    assert_non_null(strstr(logged, "key=xc2"));
    world_free(world);
}

static const struct named_test tests[] = {
    { "all records of an area are handed over, and none beside it",
      an_area_is_handed_over_whole_and_alone },
    { "nothing is read behind a record that is not taken", what_is_not_taken_ends_it },
    { "a malformed record is named in the log", a_malformed_record_is_named },
};

int main(void)
{
    return RUN_TESTS("records", tests);
}
