/* SPDX-License-Identifier: Apache-2.0 */
/* What the process does when another epoch is in force, and to get one that has its address. */
#include "server/internal.h"

#include <stdio.h>
#include <string.h>

void server_epoch_changed(struct reactor *reactor)
{
    struct server *server = reactor->server;
    const struct epoch *epoch = reactor_epoch(reactor);
    peers_on_members(&reactor->peers);
    if (reactor->index != 0)
        return;
    atomic_store(&server->epoch_number, epoch->number);
    atomic_store(&server->member_count, ring_present_count(epoch));
}

static void on_readdressed(void *context, const struct answer *answer)
{
    const struct server *server = context;
    if (answer->status != KVORUM_OK)
        log_warn(server->log, "the new address of a node is not in force yet",
                 LOG_STATUS(answer->status), LOG_TEXT("reason", answer->reason));
}

/* Who moved proposes its address itself, for what it decides alone, and whoever it greets does
 * too; meanwhile those dial it where it says (address_book.h). */
void server_readdress(struct server *server, const struct node_id *id, const char *address)
{
    struct node *node = server->reactors[0]->node;
    const struct epoch *epoch = reactor_epoch(server->reactors[0]);
    uint16_t member = ring_member_index(epoch, id);
    if (node == NULL || address[0] == '\0' || member == RING_NO_MEMBER ||
        strcmp(epoch->members[member].address, address) == 0)
        return;
    struct change_request request = { .kind = ASK_ADDRESS, .newcomer = { .id = *id } };
    snprintf(request.newcomer.address, sizeof(request.newcomer.address), "%.255s", address);
    node_change_epoch(node, &request, on_readdressed, server);
}
