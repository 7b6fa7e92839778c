/* SPDX-License-Identifier: Apache-2.0 */
/** Signs datagrams of the gossip: HMAC-SHA256 (RFC 2104) under the cluster's key, its first 16
 *  bytes.  Without a key file the id of the cluster is the key: that keeps out damage and other
 *  clusters, and no person.  docs/decisions/0008.  Thread: one.  Blocks: only to load a key. */
#ifndef SERVER_SIGNATURE_H
#define SERVER_SIGNATURE_H

#include "base/bytes.h"
#include "kvorum/status.h"

enum {
    SIGNATURE_SIZE = 16,
    SIGNATURE_KEY_MIN = 16,
    SIGNATURE_KEY_MAX = 4096,
};

struct signature_key {
    uint8_t bytes[SIGNATURE_KEY_MAX];
    size_t size; /* 0: none was given */
};

struct signature;

/** The content of the file at `path`, which nobody but its owner may read.  NOT_ALLOWED: others
 *  may; INVALID: too short, too long, or no file; IO.  *ret_why says it for people. */
KVORUM_CHECKED kvorum_status signature_key_load(const char *path, struct signature_key *ret_key,
                                                const char **ret_why);
/** NULL: no memory, or libcrypto has no HMAC-SHA256.  The key is copied. */
struct signature *signature_create(struct bytes key);
struct signature *signature_destroy(struct signature *signature);

/** False: libcrypto failed; nothing may be sent. */
bool signature_make(struct signature *signature, struct bytes message,
                    uint8_t ret_mac[SIGNATURE_SIZE]);
/** Takes as long for every wrong signature. */
bool signature_matches(struct signature *signature, struct bytes message,
                       const uint8_t mac[SIGNATURE_SIZE]);

#endif
