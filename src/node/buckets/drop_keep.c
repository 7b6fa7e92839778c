/* SPDX-License-Identifier: Apache-2.0 */
/* What a member keeps of drops beside the table of properties, so that no crash takes it back:
 *
 *      'q' 'g'  type size u8  type  bucket      generation u64: an object of it is in this store
 *      'q' 'p'                                  generation u64: the latest that was promised
 *
 * A generation is known in memory before it is on this member's own disk: a message tells of it,
 * and the record goes to store 0, while an object goes to another one, and is acknowledged at once.
 * If power failed then, this member would start in the generation before, and nobody would find the
 * object until another member told of its generation, which may be long in coming, or never comes.
 * So as long as the record is not known to be on disk, the generation goes along with each object,
 * in the same batch, and whoever starts on the store knows it.
 *
 * A promise is on disk before it is given: of two drops the later one must be known by a later
 * generation, whatever happened to those who promised in between.  The first may be on one disk
 * only, agreed on and told to nobody; it would come into force when that member is back, and take
 * what was written since the second. */
#include <endian.h>

#include "base/planted.h"
#include "node/buckets/drop_internal.h"
#include "node/buckets/property_internal.h"
#include "node/records.h"

static const uint8_t promise_key[] = { 'q', 'p' };
static const struct record_area proofs = { "generations of objects", "qg", "qh" };

/* --- the generation of what is here ----------------------------------------------------------- */

static struct bytes proof_key(struct arena *arena, const struct key_address *address)
{
    struct bytes type = address->type, bucket = address->bucket;
    uint8_t *data = arena_allocate(arena, 3 + type.size + bucket.size);
    if (data == NULL)
        return (struct bytes){ 0 };
    data[0] = 'q';
    data[1] = 'g';
    data[2] = (uint8_t)type.size;
    memcpy(data + 3, type.data, type.size);
    memcpy(data + 3 + type.size, bucket.data, bucket.size);
    return bytes_make(data, 3 + type.size + bucket.size);
}

kvorum_status drop_prove(struct node *node, const struct key_address *address)
{
    if (address->generation == 0 || property_is_durable(node) || PLANTED(GENERATION_UNPROVEN))
        return KVORUM_OK;
    struct bytes key = proof_key(&node->scratch, address);
    uint64_t value = htole64(address->generation);
    PROBE("drop: an object came to the disk before its generation");
    return key.data == NULL ? KVORUM_NO_MEMORY
                            : engine_batch_put(node->batch, key, bytes_make(&value, sizeof(value)));
}

static bool read_number(struct bytes value, uint64_t *ret)
{
    if (value.size != sizeof(*ret))
        return false;
    memcpy(ret, value.data, sizeof(*ret));
    *ret = le64toh(*ret);
    return true;
}

static kvorum_status load_proof(struct node *node, struct bytes key, struct bytes value,
                                void *context)
{
    struct key_address address = { 0 };
    (void)context;
    if (key.size < 3 || key.size < 3 + (size_t)key.data[2] ||
        !read_number(value, &address.generation))
        return KVORUM_CORRUPT;
    address.type = bytes_make(key.data + 3, key.data[2]);
    address.bucket = bytes_from(key, 3 + address.type.size);
    if (address.generation <= drop_generation(node, address.type, address.bucket))
        return KVORUM_OK;
    PROBE("drop: a start learnt a generation from its objects");
    return property_find_proven(node, &address);
}

/* --- the promise ------------------------------------------------------------------------------ */

static kvorum_status put_promise(struct node *node, uint64_t generation)
{
    uint64_t value = htole64(generation);
    return engine_batch_put(node->batch, bytes_make(promise_key, sizeof(promise_key)),
                            bytes_make(&value, sizeof(value)));
}

kvorum_status drop_put_promise(struct node *node)
{
    bool none = node->drops == NULL || node->drops->promised == 0;
    return none ? KVORUM_OK : put_promise(node, node->drops->promised);
}

kvorum_status drop_keep_promise(struct node *node, uint64_t generation,
                                const struct commit_plan *plan)
{
    engine_batch_reset(node->batch);
    kvorum_status status = put_promise(node, generation);
    return status == KVORUM_OK
               ? replica_submit(node, node->config.stores[0], node->batch, ENGINE_SYNC, plan)
               : status;
}

static kvorum_status load_promise(struct node *node, uint64_t *ret_promised)
{
    struct bytes key = bytes_make(promise_key, sizeof(promise_key)), value;
    if (node->config.shard != 0)
        return KVORUM_OK;
    kvorum_status status = engine_get(node->config.stores[0], key, &node->scratch, &value);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    if (status == KVORUM_OK && !read_number(value, ret_promised))
        status = KVORUM_CORRUPT;
    return status;
}

kvorum_status drop_keep_load(struct node *node, uint64_t *ret_promised)
{
    kvorum_status status = load_promise(node, ret_promised);
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++)
        if (node->config.stores[i] != NULL)
            status = records_load(node, node->config.stores[i], &proofs, load_proof, NULL);
    return status;
}
