/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of other members' processes: how many shards and stores each has; and what a socket
 * tells of its other side. */
#include "server/internal.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

struct server_shape server_shape(const struct server *server, uint16_t member)
{
    uint32_t shape = atomic_load_explicit(&server->shapes[member], memory_order_relaxed);
    return (struct server_shape){ (uint16_t)(shape >> 16), (uint16_t)shape };
}

void server_learn_shape(struct server *server, uint16_t member, uint32_t shard_count,
                        uint32_t store_count)
{
    if (shard_count < 1 || shard_count > REACTORS_MAX || store_count < 1 ||
        store_count > NODE_STORES_MAX)
        return;
    atomic_store_explicit(&server->shapes[member], shard_count << 16 | store_count,
                          memory_order_relaxed);
}

void server_describe_remote(int descriptor, char *ret_text, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char host[48], port[8];
    snprintf(ret_text, size, "?");
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) == 0 &&
        getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(ret_text, size, "%s:%s", host, port);
}
