/* SPDX-License-Identifier: Apache-2.0 */
#include "node/members/identity.h"

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
    .life = { .number = 7,
              .history = { 0x0706050403020107, 0x0706050403020106, 0x0706050403020105 },
              .history_count = 3,
              .votes_from = 12 },
    .actor = 0x1716151413121110,
    .seal = 0x2726252423222120,
    .incarnation_limit = 65537,
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
    static uint64_t entropy;
    entropy += 2;
    return (struct identity_options){
        .create = true, .fresh_id = id_a, .fresh_life = entropy, .store_count = 4, .engine = engine
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
    assert_int_equal(identity.life.number, 1);
    assert_int_equal(identity.life.history_count, 1);
    assert_false(identity_has_cluster(&identity));
    place_done(&place);
}

static void check_crash_changes_the_actor(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, false), second = open_ok(&place, false);
    assert_memory_equal(&first.node, &second.node, sizeof(first.node));
    assert_int_equal(second.life.number, first.life.number + 1);
    assert_int_equal(second.life.history[1], first.life.history[0]);
    assert_int_equal(second.inherited, 0);
    assert_true(identity_actor(&first) != identity_actor(&second));
    place_done(&place);
}

static void check_clean_leaves_the_actor_once(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, false);
    assert_int_equal(identity_mark_clean(place.disk, &first, 77, 5), KVORUM_OK);
    struct identity second = open_ok(&place, false);
    assert_int_equal(second.inherited, 77);
    assert_true(identity_check_seal(&second, 5));
    assert_int_equal(second.inherited, 77);
    assert_true(identity_actor(&first) != identity_actor(&second)); /* until others agree */
    struct identity third = open_ok(&place, false); /* the mark was gone when the second began */
    assert_int_equal(third.inherited, 0);
    place_done(&place);
}

static void check_other_stores_leave_no_actor(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, false);
    assert_int_equal(identity_mark_clean(place.disk, &first, 77, 5), KVORUM_OK);
    struct identity second = open_ok(&place, false);
    assert_false(identity_check_seal(&second, 6));
    assert_int_equal(second.inherited, 0);
    place_done(&place);
}

static void check_stores_that_cannot_tell_leave_no_actor(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, false);
    assert_int_equal(identity_mark_clean(place.disk, &first, 77, 0), KVORUM_OK);
    assert_int_equal(open_ok(&place, false).inherited, 0);
    place_done(&place);
}

static void check_volatile_stores_never_keep_it(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity first = open_ok(&place, true);
    assert_int_equal(identity_mark_clean(place.disk, &first, 77, 5), KVORUM_OK);
    assert_int_equal(open_ok(&place, true).inherited, 0);
    place_done(&place);
}

/* What a copy that was put back does: the same number, and yet another life. */
static void check_two_lives_of_one_copy_differ(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity copy = open_ok(&place, false);
    assert_int_equal(identity_mark_clean(place.disk, &copy, 77, 5), KVORUM_OK);
    struct identity one = open_ok(&place, false);
    assert_int_equal(identity_mark_clean(place.disk, &copy, 77, 5), KVORUM_OK); /* put back */
    struct identity other = open_ok(&place, false);
    assert_int_equal(one.life.number, other.life.number);
    assert_true(identity_actor(&one) != identity_actor(&other));
    place_done(&place);
}

static void check_another_life_is_remembered(void **state)
{
    (void)state;
    struct place place = place_make();
    struct identity identity = open_ok(&place, false);
    struct node_life life = identity.life;
    life_renew(&life, (struct life_mark){ 40, 99 });
    life.votes_from = 9;
    uint64_t actor = identity_actor(&identity);
    assert_int_equal(identity_save_life(place.disk, &identity, &life), KVORUM_OK);
    struct identity again = open_ok(&place, false);
    assert_int_equal(again.life.number, 42);
    assert_int_equal(again.life.history[2], 99);
    assert_int_equal(again.life.votes_from, 9);
    assert_true(identity_actor(&again) != actor);
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
    assert_int_equal(identity_mark_clean(place.disk, &before, 1, 1),
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
    FILE *file = fopen("tests/golden/identity/sample-v2.bin", "rb");
    assert_non_null(file);
    assert_int_equal(fread(expected, 1, sizeof(expected), file), IDENTITY_SIZE);
    fclose(file);
    assert_memory_equal(bytes, expected, IDENTITY_SIZE);
    struct identity decoded;
    const char *why = "";
    assert_int_equal(identity_decode(bytes_make(bytes, sizeof(bytes)), &decoded, &why), KVORUM_OK);
    assert_memory_equal(&decoded.cluster, &sample.cluster, sizeof(sample.cluster));
    assert_true(decoded.clean && decoded.life.number == 7 && decoded.store_count == 4);
    assert_memory_equal(&decoded.life, &sample.life, sizeof(sample.life));
    assert_true(decoded.actor == sample.actor && decoded.seal == sample.seal);
    assert_string_equal(decoded.engine, "lsm");
}

/* Its clean mark does not say which stores it was of. */
static void check_version_1_is_read_as_after_a_crash(void **state)
{
    (void)state;
    uint8_t bytes[IDENTITY_V1_SIZE + 1];
    FILE *file = fopen("tests/golden/identity/sample.bin", "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), IDENTITY_V1_SIZE);
    fclose(file);
    struct place place = place_make();
    place_write(&place, "identity", bytes, IDENTITY_V1_SIZE);
    struct identity identity = open_ok(&place, false);
    assert_memory_equal(&identity.cluster, &sample.cluster, sizeof(sample.cluster));
    assert_true(identity.life.number == 8 && identity.life.history_count == 1);
    assert_int_equal(identity.inherited, 0);
    place_done(&place);
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
    { "truncated later", "identity", NULL, 367, -1, "lsm", true, KVORUM_CORRUPT, "truncated" },
    { "as short as version 1 was", "identity", NULL, 96, -1, "lsm", true, KVORUM_CORRUPT,
      "truncated" },
    { "of a newer release", "identity", NULL, 0, 9, "lsm", true, KVORUM_NEWER_FORMAT, "newer" },
    { "a bit rotted in the id", "identity", NULL, 0, 20, "lsm", true, KVORUM_CORRUPT, "damaged" },
    { "a bit rotted in the number of its life", "identity", NULL, 0, 48, "lsm", true,
      KVORUM_CORRUPT, "damaged" },
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
        cmocka_unit_test(check_version_1_is_read_as_after_a_crash),
        cmocka_unit_test(check_clean_leaves_the_actor_once),
        cmocka_unit_test(check_other_stores_leave_no_actor),
        cmocka_unit_test(check_stores_that_cannot_tell_leave_no_actor),
        cmocka_unit_test(check_two_lives_of_one_copy_differ),
        cmocka_unit_test(check_another_life_is_remembered),
        cmocka_unit_test(check_volatile_stores_never_keep_it),
        cmocka_unit_test(check_one_cluster),
        cmocka_unit_test(check_epoch),
        cmocka_unit_test(check_epoch_without_cluster_is_completed),
    };
    int failed = cmocka_run_group_tests_name("identity", tests, NULL, NULL);
    return failed + RUN_ROWS("identity of a directory", rows, check);
}
