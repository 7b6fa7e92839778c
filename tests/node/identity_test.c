/* SPDX-License-Identifier: Apache-2.0 */
#include "node/identity.h"

#include "os/disk.h"
#include "support/rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct node_id id_a = { "directory-id-aaa" }, cluster_x = { "cluster-id-xxxxx" },
                            cluster_y = { "cluster-id-yyyyy" };
static const struct identity sample = {
    .node = { "directory-id-aaa" },
    .cluster = { "cluster-id-xxxxx" },
    .actor_epoch = 7,
    .store_count = 4,
    .clean = true,
    .engine = "lsm",
};

/* --- a directory of its own for each test ---------------------------------------------------- */

struct place {
    char path[64];
    struct disk *disk;
};

static struct place place_make(void)
{
    struct place place = { .path = "/tmp/kvorum-identity-XXXXXX" };
    assert_non_null(mkdtemp(place.path));
    assert_int_equal(os_disk_open(place.path, false, &place.disk), KVORUM_OK);
    return place;
}

static void place_done(struct place *place)
{
    os_disk_close(place->disk);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", place->path);
    assert_int_equal(system(command), 0);
}

static void place_write(const struct place *place, const char *name, const void *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", place->path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static struct identity_options options_of(const char *engine)
{
    return (struct identity_options){
        .create = true, .fresh_id = id_a, .store_count = 4, .engine = engine
    };
}

static struct identity open_ok(const struct place *place, bool volatile_stores)
{
    struct identity_options options = options_of("lsm");
    options.volatile_stores = volatile_stores;
    struct identity identity;
    const char *why = "";
    assert_int_equal(identity_open(place->disk, &options, &identity, &why), KVORUM_OK);
    return identity;
}

/* --- lives ----------------------------------------------------------------------------------- */

static void check_made(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity identity = open_ok(&place, false);
    assert_memory_equal(&identity.node, &id_a, sizeof(id_a));
    assert_int_equal(identity.store_count, 4);
    assert_int_equal(identity.actor_epoch, 1);
    assert_false(identity_has_cluster(&identity));
    place_done(&place);
}

static void check_crash_changes_the_actor(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, false), second = open_ok(&place, false);
    assert_memory_equal(&first.node, &second.node, sizeof(first.node));
    assert_int_equal(second.actor_epoch, first.actor_epoch + 1);
    assert_true(identity_actor(&first) != identity_actor(&second));
    place_done(&place);
}

static void check_clean_keeps_the_actor_once(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, false);
    assert_int_equal(identity_mark_clean(place.disk, &first), KVORUM_OK);
    struct identity second = open_ok(&place, false);
    assert_true(identity_actor(&first) == identity_actor(&second));
    struct identity third = open_ok(&place, false); /* the mark was gone when the second began */
    assert_true(identity_actor(&second) != identity_actor(&third));
    place_done(&place);
}

static void check_volatile_stores_never_keep_it(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, true);
    assert_int_equal(identity_mark_clean(place.disk, &first), KVORUM_OK);
    struct identity second = open_ok(&place, true);
    assert_true(identity_actor(&first) != identity_actor(&second));
    place_done(&place);
}

static void check_one_cluster(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity identity = open_ok(&place, false);
    assert_int_equal(identity_join(place.disk, &identity, &cluster_x), KVORUM_OK);
    assert_int_equal(identity_join(place.disk, &identity, &cluster_x), KVORUM_OK);
    assert_int_equal(identity_join(place.disk, &identity, &cluster_y), KVORUM_WRONG_CLUSTER);
    struct identity again = open_ok(&place, false);
    assert_memory_equal(&again.cluster, &cluster_x, sizeof(cluster_x));
    place_done(&place);
}

/* --- the epoch record ------------------------------------------------------------------------ */

static struct epoch epoch_of(const struct node_id *cluster, struct member *members, uint16_t *table)
{
    return (struct epoch){ .number = 1,
                           .replicas_wanted = 3,
                           .voter_count = 1,
                           .cluster = *cluster,
                           .hash_seed = 5,
                           .partition_count = 1,
                           .replica_count = 1,
                           .member_count = 1,
                           .members = members,
                           .table = table };
}

static void check_epoch(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity identity = open_ok(&place, false);
    struct member member = {
        .id = id_a, .name = "n1", .zone = "z", .address = "127.0.0.1:9098", .weight = 100
    };
    uint16_t table[1] = { 0 };
    struct epoch x = epoch_of(&cluster_x, &member, table), loaded;
    struct epoch y = epoch_of(&cluster_y, &member, table);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const char *why = "";

    assert_int_equal(identity_load_epoch(place.disk, &identity, &arena, &loaded, &why),
                     KVORUM_NOT_FOUND);
    assert_int_equal(identity_save_epoch(place.disk, &identity, &x), KVORUM_OK);
    assert_int_equal(identity_save_epoch(place.disk, &identity, &y), KVORUM_WRONG_CLUSTER);
    struct identity again = open_ok(&place, false);
    assert_int_equal(identity_load_epoch(place.disk, &again, &arena, &loaded, &why), KVORUM_OK);
    assert_int_equal(loaded.member_count, 1);
    assert_string_equal(loaded.members[0].name, "n1");

    again.cluster = cluster_y;
    assert_int_equal(identity_load_epoch(place.disk, &again, &arena, &loaded, &why),
                     KVORUM_WRONG_CLUSTER);
    place_write(&place, "epoch", "junk", 4);
    assert_int_equal(identity_load_epoch(place.disk, &identity, &arena, &loaded, &why),
                     KVORUM_CORRUPT);
    assert_int_equal(place.disk->ops->remove(place.disk, "epoch"), KVORUM_OK);
    assert_int_equal(identity_load_epoch(place.disk, &identity, &arena, &loaded, &why),
                     KVORUM_CORRUPT);
    assert_non_null(strstr(why, "missing"));
    arena_done(&arena);
    place_done(&place);
}

static void check_epoch_without_cluster_is_completed(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity identity = open_ok(&place, false), before = identity;
    struct member member = {
        .id = id_a, .name = "n1", .zone = "z", .address = "127.0.0.1:9098", .weight = 100
    };
    uint16_t table[1] = { 0 };
    struct epoch x = epoch_of(&cluster_x, &member, table), loaded;
    assert_int_equal(identity_save_epoch(place.disk, &identity, &x), KVORUM_OK);
    assert_int_equal(identity_mark_clean(place.disk, &before),
                     KVORUM_OK); /* as the crash left it */
    struct identity again = open_ok(&place, false);
    assert_false(identity_has_cluster(&again));
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const char *why = "";
    assert_int_equal(identity_load_epoch(place.disk, &again, &arena, &loaded, &why), KVORUM_OK);
    assert_true(identity_has_cluster(&again));
    arena_done(&arena);
    place_done(&place);
}

/* --- bytes ----------------------------------------------------------------------------------- */

static void check_golden(void **state)
{
    (void)state;
    uint8_t bytes[IDENTITY_SIZE], expected[IDENTITY_SIZE + 1];
    identity_encode(&sample, bytes);
    FILE *file = fopen("tests/golden/identity/sample.bin", "rb");
    assert_non_null(file);
    assert_int_equal(fread(expected, 1, sizeof(expected), file), IDENTITY_SIZE);
    fclose(file);
    assert_memory_equal(bytes, expected, IDENTITY_SIZE);
    struct identity decoded;
    const char *why = "";
    assert_int_equal(identity_decode(bytes_make(bytes, sizeof(bytes)), &decoded, &why), KVORUM_OK);
    assert_memory_equal(&decoded.cluster, &sample.cluster, sizeof(sample.cluster));
    assert_true(decoded.clean && decoded.actor_epoch == 7 && decoded.store_count == 4);
    assert_string_equal(decoded.engine, "lsm");
}

struct row {
    const char *name;
    const char *file;    /* a file put into the directory first */
    const char *content; /* NULL: the sample's bytes */
    int cut;             /* bytes kept of the sample, 0: all */
    int flip;            /* byte of it that is changed, -1: none */
    const char *engine;
    bool create;
    kvorum_status status;
    const char *why; /* must be in the text */
};
static const struct row rows[] = {
    { "a good one opens", "identity", NULL, 0, -1, "lsm", false, KVORUM_OK, "" },
    { "an empty directory is not made unasked", ".pid", "1", 0, -1, "lsm", false, KVORUM_NOT_FOUND,
      "empty" },
    { "a log file does not make it foreign", "node.log", "x", 0, -1, "lsm", true, KVORUM_OK, "" },
    { "a directory of someone else", "ibdata1", "x", 0, -1, "lsm", true, KVORUM_FOREIGN,
      "no `identity`" },
    { "stores whose identity was lost", "store-0", "x", 0, -1, "lsm", true, KVORUM_FOREIGN,
      "lost" },
    { "a left-over of a crash while it was made", "identity.new", "KVO", 0, -1, "lsm", true,
      KVORUM_OK, "" },
    { "a text file named identity", "identity", "hello world, this is a text", 0, -1, "lsm", true,
      KVORUM_FOREIGN, "not made by kvorum" },
    { "an empty file", "identity", "", 0, -1, "lsm", true, KVORUM_CORRUPT, "truncated" },
    { "truncated in the magic", "identity", NULL, 5, -1, "lsm", true, KVORUM_CORRUPT, "truncated" },
    { "truncated later", "identity", NULL, 95, -1, "lsm", true, KVORUM_CORRUPT, "truncated" },
    { "of a newer release", "identity", NULL, 0, 8, "lsm", true, KVORUM_NEWER_FORMAT, "newer" },
    { "a bit rotted in the id", "identity", NULL, 0, 20, "lsm", true, KVORUM_CORRUPT, "damaged" },
    { "a bit rotted in the actor epoch", "identity", NULL, 0, 48, "lsm", true, KVORUM_CORRUPT,
      "damaged" },
    { "another engine", "identity", NULL, 0, -1, "memory", true, KVORUM_INVALID, "engine" },
};

static void prepare(const struct place *place, const struct row *row)
{
    uint8_t bytes[IDENTITY_SIZE];
    identity_encode(&sample, bytes);
    if (row->flip >= 0)
        bytes[row->flip] ^= 2;
    if (row->content != NULL)
        place_write(place, row->file, row->content, strlen(row->content));
    else
        place_write(place, row->file, bytes, row->cut > 0 ? (size_t)row->cut : sizeof(bytes));
}

static void check(const void *context)
{
    const struct row *row = context;
    struct place place = place_make();
    prepare(&place, row);
    struct identity_options options = options_of(row->engine);
    options.create = row->create;
    struct identity identity;
    const char *why = "";
    assert_int_equal(identity_open(place.disk, &options, &identity, &why), row->status);
    if (row->status != KVORUM_OK)
        assert_non_null(strstr(why, row->why));
    place_done(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_golden),
        cmocka_unit_test(check_made),
        cmocka_unit_test(check_crash_changes_the_actor),
        cmocka_unit_test(check_clean_keeps_the_actor_once),
        cmocka_unit_test(check_volatile_stores_never_keep_it),
        cmocka_unit_test(check_one_cluster),
        cmocka_unit_test(check_epoch),
        cmocka_unit_test(check_epoch_without_cluster_is_completed),
    };
    int failed = cmocka_run_group_tests_name("identity", tests, NULL, NULL);
    return failed + RUN_ROWS("identity of a directory", rows, check);
}
