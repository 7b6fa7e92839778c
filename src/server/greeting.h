/* SPDX-License-Identifier: Apache-2.0 */
/** Who links to a node of a cluster with a key proves that he knows it, and so does who is dialed,
 *  before either says anything about the cluster (docs/decisions/0008):
 *
 *      dialer --- HELLO: nonce --------------------------> acceptor
 *      dialer <-- HELLO_ANSWER: nonce, proof ------------- acceptor     knows the key: go on
 *      dialer --- HELLO: all that it says, proof --------> acceptor     knows the key: judge it
 *      dialer <-- HELLO_ANSWER: all that it says --------- acceptor
 *
 *  A proof is HMAC-SHA256 (signature.h) of which of the two it comes from and both nonces, so one
 *  that was overheard is worth nothing on another link.  Nothing is encrypted.  A cluster without a
 *  key begins with the third of these frames, without a proof.
 *
 *  Thread: the link's reactor. */
#ifndef SERVER_GREETING_H
#define SERVER_GREETING_H

#include "codec/peer.pb-c.h"
#include "server/signature.h"

struct server;

enum { GREETING_NONCE_SIZE = 16 };

struct greeting {
    uint8_t nonces[2 * GREETING_NONCE_SIZE]; /* the dialer's, then the acceptor's */
    uint8_t proof[SIGNATURE_SIZE];           /* a frame that is being made points to it */
    const struct signature_key *key;         /* that both know: the server's, or its other one */
    bool begun;                              /* both nonces are known */
};

/** The cluster has a key. */
bool greeting_is_asked(const struct server *server);

/** The dialer's first frame.  It points into `greeting`. */
void greeting_begin(struct greeting *greeting, Peer__Hello *ret_hello);
/** The answer to it shows that the acceptor knows the key. */
bool greeting_check(struct greeting *greeting, const struct server *server,
                    const Peer__Hello *answer);
/** Adds the dialer's proof.  False: it cannot be made. */
bool greeting_prove(struct greeting *greeting, Peer__Hello *hello);

enum greeting_verdict {
    GREETING_KNOWN,      /* it knows the key, or there is none */
    GREETING_CHALLENGED, /* send *ret_answer, and wait */
    GREETING_REFUSED,    /* send *ret_answer, and close */
};
/** The acceptor's part.  *ret_answer points into `greeting`, and says nothing about the cluster. */
enum greeting_verdict greeting_judge(struct greeting *greeting, const struct server *server,
                                     const Peer__Hello *hello, Peer__Hello *ret_answer);

#endif
