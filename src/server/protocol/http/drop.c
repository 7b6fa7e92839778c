/* SPDX-License-Identifier: Apache-2.0 */
/* POST /buckets/B/drop: every value of a bucket goes at once (node/buckets/drop.h).  Not a DELETE
 * of the bucket or of its keys, which is what a client sends that forgot to name the key. */
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
    http_json(http, 200, &json);
}

static void on_dropped(void *context, const struct answer *answer)
{
    struct http *http = http_setting_end(context);
    if (http == NULL)
        return;
    if (answer->status == KVORUM_OK)
        answer_dropped(http);
    else
        http_error(http, answer);
}

void http_post_drop(struct http *http)
{
    if (http->request.body.size > 0) {
        http_text(http, 400,
                  "a drop takes no body: all values of the bucket go.  To delete one key, DELETE "
                  "/buckets/BUCKET/keys/KEY\n");
        return;
    }
    struct http_setting *setting = http_setting_begin(http);
    if (setting != NULL)
        node_drop_bucket(http->environment.node, http->request.type, http->request.bucket,
                         on_dropped, setting);
}
