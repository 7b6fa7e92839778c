/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/guide.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void guide_print(const struct demo_cluster *cluster, const char *dir, const char *key)
{
    unsigned other = cluster->node_count > 1 ? 2 : 1, last = cluster->node_count;
    unsigned http = demo_port(cluster, 1, DEMO_HTTP), resp = demo_port(cluster, 1, DEMO_RESP);
    const char *program = access("./kvorum", X_OK) == 0 ? "./kvorum" : "kvorum";
    char node[40] = "", where[2100] = "";
    if (http != 8098)
        snprintf(node, sizeof(node), " --node 127.0.0.1:%u", http);
    if (dir != NULL)
        snprintf(where, sizeof(where), " --dir %s", dir);
    printf("\nHTTP, with the routes of Riak; every node serves every key\n"
           "  curl http://127.0.0.1:%u/buckets/packages/keys/%s\n"
           "  curl -X PUT http://127.0.0.1:%u/buckets/pets/keys/cat -H 'Content-Type: text/plain' "
           "-d meow\n"
           "  curl http://127.0.0.1:%u/buckets/pets/keys/cat\n",
           http, key, http, demo_port(cluster, last, DEMO_HTTP));
    printf("Redis\n"
           "  redis-cli -p %u set greeting hello\n"
           "  redis-cli -p %u get greeting\n",
           resp, demo_port(cluster, other, DEMO_RESP));
    printf("kvorum\n"
           "  %s status%s\n  %s get packages/%s%s\n  %s put pets/dog woof%s\n",
           program, node, program, key, node, program, node);
    if (cluster->node_count >= 3)
        printf("  %s demo kill 3%s      reads and writes go on\n  %s demo start 3%s\n", program,
               where, program, where);
}
