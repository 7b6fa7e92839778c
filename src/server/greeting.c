/* SPDX-License-Identifier: Apache-2.0 */
#include "server/greeting.h"

#include <string.h>

#include "codec/protobuf.h"
#include "os/entropy.h"
#include "server/internal.h"

enum greeting_side { SIDE_DIALER = 'd', SIDE_ACCEPTOR = 'a' };

static const char domain[] = "kvorum hello "; /* no proof is a signature of gossip */

enum { PROVED_SIZE = sizeof(domain) - 1 + 1 + 2 * GREETING_NONCE_SIZE };

bool greeting_is_asked(const struct server *server)
{
    return server->key.size > 0;
}

/* --- proofs ---------------------------------------------------------------------------------- */

static struct bytes proved_of(const struct greeting *greeting, enum greeting_side side,
                              uint8_t memory[PROVED_SIZE])
{
    memcpy(memory, domain, sizeof(domain) - 1);
    memory[sizeof(domain) - 1] = (uint8_t)side;
    memcpy(memory + sizeof(domain), greeting->nonces, sizeof(greeting->nonces));
    return bytes_make(memory, PROVED_SIZE);
}

static bool make_proof(struct greeting *greeting, enum greeting_side side)
{
    uint8_t memory[PROVED_SIZE];
    struct signature *signature =
        signature_create(bytes_make(greeting->key->bytes, greeting->key->size));
    bool made = signature != NULL &&
                signature_make(signature, proved_of(greeting, side, memory), greeting->proof);
    signature_destroy(signature);
    return made;
}

static bool is_proved_by(const struct greeting *greeting, enum greeting_side side,
                         const struct signature_key *key, const uint8_t *proof)
{
    uint8_t memory[PROVED_SIZE];
    struct signature *signature =
        key->size == 0 ? NULL : signature_create(bytes_make(key->bytes, key->size));
    bool fits =
        signature != NULL && signature_matches(signature, proved_of(greeting, side, memory), proof);
    signature_destroy(signature);
    return fits;
}

static bool is_proved(struct greeting *greeting, const struct server *server,
                      enum greeting_side side, const ProtobufCBinaryData *proof)
{
    if (proof->len != SIGNATURE_SIZE)
        return false;
    greeting->key = &server->key;
    if (!is_proved_by(greeting, side, &server->key, proof->data))
        greeting->key = &server->other_key;
    return is_proved_by(greeting, side, greeting->key, proof->data);
}

static void take_nonce(struct greeting *greeting, enum greeting_side side,
                       const ProtobufCBinaryData *nonce)
{
    memcpy(greeting->nonces + (side == SIDE_DIALER ? 0 : GREETING_NONCE_SIZE), nonce->data,
           GREETING_NONCE_SIZE);
}

/* Whose side draws one. */
static void draw_nonce(struct greeting *greeting, enum greeting_side side, Peer__Hello *hello)
{
    uint8_t *nonce = greeting->nonces + (side == SIDE_DIALER ? 0 : GREETING_NONCE_SIZE);
    os_entropy(nonce, GREETING_NONCE_SIZE);
    hello->nonce = protobuf_data(bytes_make(nonce, GREETING_NONCE_SIZE));
}

static void add_proof(struct greeting *greeting, Peer__Hello *hello)
{
    hello->proof = protobuf_data(bytes_make(greeting->proof, SIGNATURE_SIZE));
}

/* --- who dials ------------------------------------------------------------------------------- */

void greeting_begin(struct greeting *greeting, Peer__Hello *ret_hello)
{
    *greeting = (struct greeting){ 0 };
    peer__hello__init(ret_hello);
    draw_nonce(greeting, SIDE_DIALER, ret_hello);
}

bool greeting_check(struct greeting *greeting, const struct server *server,
                    const Peer__Hello *answer)
{
    if (answer->nonce.len != GREETING_NONCE_SIZE)
        return false;
    take_nonce(greeting, SIDE_ACCEPTOR, &answer->nonce);
    greeting->begun = is_proved(greeting, server, SIDE_ACCEPTOR, &answer->proof);
    return greeting->begun;
}

bool greeting_prove(struct greeting *greeting, Peer__Hello *hello)
{
    if (!make_proof(greeting, SIDE_DIALER))
        return false;
    add_proof(greeting, hello);
    return true;
}

/* --- who accepts ----------------------------------------------------------------------------- */

static bool challenge(struct greeting *greeting, const struct server *server,
                      const Peer__Hello *hello, Peer__Hello *answer)
{
    take_nonce(greeting, SIDE_DIALER, &hello->nonce);
    draw_nonce(greeting, SIDE_ACCEPTOR, answer);
    greeting->key = &server->key;
    greeting->begun = make_proof(greeting, SIDE_ACCEPTOR);
    add_proof(greeting, answer);
    return greeting->begun;
}

enum greeting_verdict greeting_judge(struct greeting *greeting, const struct server *server,
                                     const Peer__Hello *hello, Peer__Hello *ret_answer)
{
    peer__hello__init(ret_answer);
    if (!greeting_is_asked(server))
        return GREETING_KNOWN;
    if (!greeting->begun && hello->nonce.len == GREETING_NONCE_SIZE &&
        challenge(greeting, server, hello, ret_answer))
        return GREETING_CHALLENGED;
    if (greeting->begun && is_proved(greeting, server, SIDE_DIALER, &hello->proof))
        return GREETING_KNOWN;
    peer__hello__init(ret_answer);
    ret_answer->status = KVORUM_NOT_ALLOWED;
    ret_answer->reason = (char *)"only nodes that know the key of this cluster may link to it; "
                                 "give all nodes the same [cluster] key_file";
    return GREETING_REFUSED;
}
