/* SPDX-License-Identifier: Apache-2.0 */
/** What a member seems to be.  Never who owns what: that comes from the epoch alone. */
#ifndef CLUSTER_LIVENESS_H
#define CLUSTER_LIVENESS_H

/** The numbers of all but UNKNOWN are on the wire. */
enum liveness_state {
    LIVENESS_UNKNOWN, /* never heard of; asked as if it were alive */
    LIVENESS_ALIVE,
    LIVENESS_SUSPECT, /* still asked, not waited for where others suffice */
    LIVENESS_DEAD,
};

#endif
