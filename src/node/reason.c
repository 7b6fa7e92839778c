/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people: what failed, where, why, and the next step. */
#include <stdarg.h>
#include <stdio.h>

#include "node/internal.h"

const char *reason_printf(struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char text[1024];
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct bytes copy;
    return arena_copy(&node->scratch, bytes_make(text, strlen(text) + 1), &copy)
               ? (const char *)copy.data
               : "out of memory";
}

const char *reason_invalid(struct node *node, const char *what)
{
    return what == NULL ? NULL : reason_printf(node, "%s", what);
}

/* Printable ASCII stays, the rest becomes '.'; at most 64 bytes of each part. */
static void append_part(struct buffer *buffer, struct bytes part)
{
    size_t size = part.size < 64 ? part.size : 64;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = part.data[i];
        buffer_append_u8(buffer, c >= 0x20 && c < 0x7f ? c : '.');
    }
    if (size < part.size)
        buffer_append_text(buffer, "...");
}

const char *reason_key(struct node *node, const struct key_address *address)
{
    struct buffer text;
    buffer_init(&text, 512);
    append_part(&text, address->bucket);
    buffer_append_u8(&text, '/');
    append_part(&text, address->key);
    buffer_append_u8(&text, 0);
    struct bytes copy = { 0 };
    bool kept = arena_copy(&node->scratch, buffer_bytes(&text), &copy);
    buffer_done(&text);
    return kept ? (const char *)copy.data : "?";
}

static const char *const state_names[] = { "not heard of yet", "alive", "slow", "down" };

static void append_members(struct node *node, const struct request *request, struct buffer *text)
{
    const char *separator = "\n  ";
    for (uint8_t i = 0; i < request->places && i < request->target_count; i++) {
        const struct target *target = &request->targets[i];
        uint16_t member = target_owner(target);
        enum liveness_state state = node_liveness(node, member);
        if (state == LIVENESS_ALIVE)
            continue;
        const struct member *about = &node->config.epoch->members[member];
        buffer_printf(text, "%s%s %s %s %.1f s", separator, about->name, about->address,
                      state_names[state], (double)node_liveness_since_us(node, member) / 1e6);
        separator = ", ";
    }
}

/*  cannot write pets/cat: 1 of 3 replicas answered, 2 needed (w=2)
 *    n2 127.0.0.1:9198 down 12.0 s. Next: kvorum status, or retry with w=1
 *  cannot write pets/cat: zone b lacks 1 answer (0 of 1 replicas answered, 1 needed)
 *  (w=each_quorum) ... */
const char *reason_quorum(struct node *node, const struct request *request, kvorum_status status,
                          const char *level, uint8_t answered, uint8_t needed)
{
    struct buffer text;
    buffer_init(&text, 2048);
    const char *verb = request->operation == OPERATION_GET ? "read" : "write";
    buffer_printf(
        &text, "%scannot %s %s: ",
        status == KVORUM_TIMEOUT && request->operation != OPERATION_GET ? "outcome unknown: " : "",
        verb, reason_key(node, &request->address));
    bool by_zone = zones_append_lacking(node, request, level, &text);
    if (!by_zone)
        buffer_printf(&text, "%u of %u replicas answered%s, %u needed (%s=%u)", answered,
                      request->quorum.n, strcmp(level, "dw") == 0 ? " from disk" : "", needed,
                      level, needed);
    append_members(node, request, &text);
    buffer_printf(&text, ". Next: kvorum status, or retry");
    if (by_zone)
        buffer_printf(&text, " with a lower level");
    else if (answered > 0)
        buffer_printf(&text, " with %s=%u", level, answered);
    buffer_append_u8(&text, 0);
    struct bytes copy = { 0 };
    bool kept = !text.failed && arena_copy(&node->scratch, buffer_bytes(&text), &copy);
    buffer_done(&text);
    return kept ? (const char *)copy.data : kvorum_status_text(status);
}

const char *reason_impossible(struct node *node, const char *level, uint32_t n)
{
    return reason_printf(node,
                         "%s cannot be met: this bucket has n=%u replicas, the cluster %u nodes",
                         level, n, node->config.epoch->member_count);
}
