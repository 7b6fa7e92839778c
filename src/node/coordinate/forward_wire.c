/* SPDX-License-Identifier: Apache-2.0 */
/* A forwarded write as a message. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/coordinate/write_internal.h"

static void fill_levels(const struct quorum_levels *levels, Peer__Levels *ret)
{
    ret->n = levels->n;
    ret->r = levels->r;
    ret->w = levels->w;
    ret->dw = levels->dw;
    ret->pr = levels->pr;
    ret->pw = levels->pw;
    ret->node_confirms = levels->node_confirms;
    ret->basic_quorum = levels->basic_quorum;
    ret->notfound_ok = levels->notfound_ok;
    ret->sloppy = levels->sloppy;
}

static bool fill_metadata(struct node *node, const struct operation *operation,
                          Peer__Forward *forward)
{
    size_t count = operation->metadata_count;
    if (count == 0)
        return true;
    Peer__Metadata *items = arena_allocate(&node->scratch, count * sizeof(*items));
    Peer__Metadata **pointers = arena_allocate(&node->scratch, count * sizeof(Peer__Metadata *));
    if (items == NULL || pointers == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        peer__metadata__init(&items[i]);
        items[i].kind = operation->metadata[i].kind;
        items[i].name = protobuf_data(operation->metadata[i].name);
        items[i].value = protobuf_data(operation->metadata[i].value);
        pointers[i] = &items[i];
    }
    forward->n_metadata = count;
    forward->metadata = pointers;
    return true;
}

struct bytes forward_pack(struct node *node, const struct operation *operation,
                          const struct key_address *key, uint64_t timeout_us)
{
    Peer__Address address;
    address_pack(key, &address);
    Peer__Levels levels = PEER__LEVELS__INIT;
    fill_levels(&operation->levels, &levels);
    Peer__Forward forward = PEER__FORWARD__INIT;
    forward.operation = operation->kind;
    forward.address = &address;
    forward.levels = &levels;
    forward.context = protobuf_data(operation->context);
    forward.flags = operation->flags;
    forward.timeout_us = timeout_us;
    forward.deadline_ms = operation->deadline_ms;
    forward.seen_stamp = operation->seen_stamp;
    struct bucket_properties ignored;
    struct object_mode mode;
    property_table_mode(node, key->type, key->bucket, &ignored, &mode);
    mode = mode_later(mode, operation->mode);
    if (PLANTED(MODE_NOT_FORWARDED))
        mode = (struct object_mode){ 0 };
    forward.siblings = mode.siblings;
    forward.mode_since = mode.since;
    if (!fill_metadata(node, operation, &forward))
        return (struct bytes){ 0 };
    return node_pack(node, &forward.base);
}

static void read_levels(const Peer__Levels *from, struct quorum_levels *ret)
{
    ret->n = from->n;
    ret->r = from->r;
    ret->w = from->w;
    ret->dw = from->dw;
    ret->pr = from->pr;
    ret->pw = from->pw;
    ret->node_confirms = from->node_confirms;
    ret->basic_quorum = from->basic_quorum == 0 ? 0 : from->basic_quorum > 0 ? 1 : -1;
    ret->notfound_ok = from->notfound_ok == 0 ? 0 : from->notfound_ok > 0 ? 1 : -1;
    ret->sloppy = from->sloppy == 0 ? 0 : from->sloppy > 0 ? 1 : -1;
}

bool forward_read(struct node *node, const Peer__Forward *from, struct bytes value,
                  struct operation *ret)
{
    if (from->address == NULL || from->levels == NULL || from->n_metadata > OBJECT_METADATA_MAX ||
        (from->operation != OPERATION_PUT && from->operation != OPERATION_DELETE))
        return false;
    struct metadata *metadata =
        arena_allocate(&node->scratch, (from->n_metadata + 1) * sizeof(*metadata));
    if (metadata == NULL)
        return false;
    for (size_t i = 0; i < from->n_metadata; i++)
        metadata[i] = (struct metadata){ (uint8_t)from->metadata[i]->kind,
                                         protobuf_bytes(from->metadata[i]->name),
                                         protobuf_bytes(from->metadata[i]->value) };
    *ret = (struct operation){
        .kind = (enum operation_kind)from->operation,
        .type = protobuf_bytes(from->address->type),
        .bucket = protobuf_bytes(from->address->bucket),
        .key = protobuf_bytes(from->address->key),
        .context = protobuf_bytes(from->context),
        .flags = (from->flags & (OPERATION_RETURN_BODY | OPERATION_OVERWRITE | OPERATION_TOUCH)) |
                 OPERATION_FORWARDED,
        .timeout_ms = (uint32_t)(from->timeout_us / 1000),
        .mode = { from->siblings, from->mode_since },
        .pinned = true,
        .generation = from->address->generation,
        .metadata = metadata,
        .metadata_count = (uint32_t)from->n_metadata,
        .value = value,
        .deadline_ms = from->deadline_ms,
        .seen_stamp = from->seen_stamp,
    };
    read_levels(from->levels, &ret->levels);
    struct key_address address;
    return placement_address(node, ret->type, ret->bucket, ret->key, &address) &&
           ret->value.size <= node->config.limits.value_size;
}
