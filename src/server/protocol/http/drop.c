/* SPDX-License-Identifier: Apache-2.0 */
/* POST /buckets/B/drop: every value of a bucket goes at once (node/drop.h).  Not a DELETE of the
 * bucket or of its keys, which is what a client sends that forgot to name the key. */
#include <stdlib.h>

#include "object/hlc.h"
#include "server/protocol/http/internal.h"

static void answer_dropped(struct http *http)
{
    const struct http_request *request = &http->request;
    struct bucket_properties properties;
    struct buffer json;
    char date[32];
    node_properties(http->environment.node, request->type, request->bucket, &properties);
    http_date(hlc_wall_ms(properties.generation), date);
    buffer_init(&json, 1 << 20);
    buffer_append_text(&json, "{\"bucket\":");
    http_json_string(&json, request->bucket);
    buffer_printf(&json, ",\"generation\":\"%016llx\",\"dropped\":\"%s\"}\n",
                  (unsigned long long)properties.generation, date);
    http_begin(http, 200);
    http_add(http, "Content-Type", "application/json");
    http_end(http, buffer_bytes(&json));
    buffer_done(&json);
}

static void on_dropped(void *context, const struct answer *answer)
{
    struct http_setting *setting = context;
    struct http *http = setting->http;
    free(setting);
    if (http == NULL)
        return;
    http->setting = NULL;
    if (answer->status == KVORUM_OK)
        answer_dropped(http);
    else
        http_error(http, answer);
}

void http_post_drop(struct http *http)
{
    struct http_setting *setting = malloc(sizeof(*setting));
    if (http->request.body.size > 0) {
        free(setting);
        http_text(http, 400,
                  "a drop takes no body: all values of the bucket go.  To delete one key, DELETE "
                  "/buckets/BUCKET/keys/KEY\n");
        return;
    }
    if (setting == NULL) {
        http_text(http, 500, "out of memory\n");
        return;
    }
    setting->http = http;
    http->setting = setting;
    node_drop_bucket(http->environment.node, http->request.type, http->request.bucket, on_dropped,
                     setting);
}
