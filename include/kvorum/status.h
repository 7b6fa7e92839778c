/* SPDX-License-Identifier: Apache-2.0 */
/** Outcomes.  One closed list makes the enum, the names, the texts and the retry classes.
 *
 *  The class says what a caller may conclude:
 *    FINAL    the operation did not happen and will not; asking again gives the same answer
 *    RETRY    the operation did not happen; asking again later may succeed
 *    UNKNOWN  the operation may or may not have happened, or may still happen
 */
#ifndef KVORUM_STATUS_H
#define KVORUM_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define KVORUM_STATUS_LIST(X) /* numbers go on the wire: never reuse one */                        \
    X(OK, 0, FINAL, "success")                                                                     \
    X(NOT_FOUND, 1, FINAL, "no such key")                                                          \
    X(CORRUPT, 2, FINAL, "stored bytes fail their checksum")                                       \
    X(TIMEOUT, 3, UNKNOWN, "outcome unknown: too few replicas answered in time")                   \
    X(INVALID, 4, FINAL, "an argument is malformed or out of range")                               \
    X(TOO_LARGE, 5, FINAL, "larger than the configured limit")                                     \
    X(NO_MEMORY, 6, RETRY, "a memory limit was reached")                                           \
    X(NO_SPACE, 7, RETRY, "the disk is full")                                                      \
    X(IO, 8, FINAL, "the disk reported an error")                                                  \
    X(LOCKED, 9, RETRY, "another process holds the store")                                         \
    X(UNSUPPORTED, 10, FINAL, "not supported here")                                                \
    X(EXISTS, 11, FINAL, "already exists")                                                         \
    X(CONFLICT, 12, FINAL, "the stored version is another one")                                    \
    X(UNAVAILABLE, 13, RETRY, "too few replicas are reachable")                                    \
    X(QUORUM_IMPOSSIBLE, 14, FINAL, "the quorum can never be met with this many replicas")         \
    X(WRONG_CLUSTER, 15, FINAL, "belongs to another cluster")                                      \
    X(WRONG_EPOCH, 16, RETRY, "the sender knows an older cluster layout")                          \
    X(NEWER_FORMAT, 17, FINAL, "written by a newer release")                                       \
    X(FOREIGN, 18, FINAL, "not made by kvorum")                                                    \
    X(POISONED, 19, FINAL, "an earlier disk failure stopped writes to this store")                 \
    X(STORE_FULL, 20, RETRY, "the store reached its configured size")                              \
    X(OVERLOADED, 21, RETRY, "too many requests in flight")                                        \
    X(NOT_READY, 22, RETRY, "the node is not serving yet")                                         \
    X(CLOSED, 23, UNKNOWN, "the other side went away")                                             \
    X(TOO_MANY_SIBLINGS, 24, FINAL, "the key holds too many concurrent values")                    \
    X(NOT_ALLOWED, 25, FINAL, "not allowed")                                                       \
    X(INTERNAL, 26, FINAL, "internal error")                                                       \
    X(WOULD_BLOCK, 27, RETRY, "this would have to wait for the disk")                              \
    X(DROPPED, 28, RETRY, "the bucket was dropped meanwhile")                                      \
    X(FENCED, 29, RETRY, "read before deletions that were collected since")                        \
    X(GONE, 30, FINAL, "this node is no member of the cluster any more")

typedef enum kvorum_status {
#define X(name, number, class, text) KVORUM_##name = (number),
    KVORUM_STATUS_LIST(X)
#undef X
} kvorum_status;

enum kvorum_status_class { KVORUM_FINAL, KVORUM_RETRY, KVORUM_UNKNOWN };

#define KVORUM_CHECKED __attribute__((warn_unused_result))
#define KVORUM_API __attribute__((visibility("default"))) /* what the library exports */

/** Static text for people ("no such key").  Any number is accepted. */
KVORUM_API const char *kvorum_status_text(kvorum_status status);
/** Static name for programs ("NOT_FOUND").  Any number is accepted. */
KVORUM_API const char *kvorum_status_name(kvorum_status status);
/** What a caller may conclude from `status`; a number not in the list is UNKNOWN. */
KVORUM_API enum kvorum_status_class kvorum_status_class(kvorum_status status);

#ifdef __cplusplus
}
#endif

#endif
