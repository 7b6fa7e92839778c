/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of anybody who can reach the port: what is accepted encodes to the very same bytes, and
 * a machine that hears it is none the worse. */
#include "cluster/membership/swim.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMBERS = 3 };

static void encode_again(const struct gossip_packet *packet, struct bytes original)
{
    uint8_t bytes[GOSSIP_PACKET_MAX];
    struct buffer buffer = { .data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes) };
    gossip_encode(packet, &buffer);
    assert(!buffer.failed && bytes_equal(buffer_bytes(&buffer), original));
}

/* Two times, as a replay. */
static void hear(const struct gossip_packet *packet)
{
    static const struct member members[MEMBERS] = { { .id = { "us" } },
                                                    { .id = { "n1" } },
                                                    { .id = { "n2" } } };
    static const struct swim_start start = {
        .members = members,
        .count = MEMBERS,
        .incarnation_first = 1,
        .incarnation_limit = 8,
    };
    static struct swim swim;
    struct swim_member storage[MEMBERS];
    struct swim_effects effects;
    struct swim_letter letter;
    swim_init(&swim, swim_preset(SWIM_LAN), storage, &start);
    for (uint64_t i = 0; i < 2; i++) {
        swim_step(&swim, &(struct swim_event){ i, SWIM_PACKET, .packet = packet }, &effects);
        unsigned letters = 0;
        while (swim_next_letter(&swim, &letter))
            letters++;
        assert(letters <= 2);
        if (effects.reserve != 0)
            swim_step(
                &swim,
                &(struct swim_event){ i, SWIM_RESERVED, .incarnation_limit = effects.reserve },
                &effects);
    }
    assert(swim.count == MEMBERS && swim_state_of(&swim, 0) == LIVENESS_ALIVE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gossip_packet packet;
    struct bytes bytes = bytes_make(data, size);
    if (gossip_decode(bytes, &packet) != KVORUM_OK)
        return 0;
    encode_again(&packet, bytes);
    hear(&packet);
    return 0;
}
