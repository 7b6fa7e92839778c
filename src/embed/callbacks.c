/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's functions in the shape that engines want. */
#include <stdlib.h>

#include "embed/internal.h"

enum {
    OPERANDS_ON_STACK = 32,
    LEVEL_COLUMNS = 6, /* a line begins with its level, which is told apart */
};

/* --- merging ------------------------------------------------------------------------------- */

void kvorum_output_append(kvorum_output *output, kvorum_bytes bytes)
{
    buffer_append((struct buffer *)output, bytes.data, bytes.size);
}

static kvorum_status call_merge(const kvorum_merge_operator *operator, struct bytes key,
                                const struct bytes *base, const kvorum_bytes *operands,
                                size_t count, struct buffer *ret_value)
{
    kvorum_bytes public_base = { NULL, 0 };
    if (base != NULL)
        public_base = embed_public_bytes(*base);
    return operator->merge(operator->context, embed_public_bytes(key),
                           base == NULL ? NULL : &public_base, operands, count,
                           (kvorum_output *)ret_value);
}

static kvorum_status merge(void *context, struct bytes key, const struct bytes *base,
                           const struct bytes *operands, size_t count, struct buffer *ret_value)
{
    kvorum_bytes few[OPERANDS_ON_STACK], *all = few;
    if (count > OPERANDS_ON_STACK)
        all = malloc(count * sizeof(*all));
    if (all == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        all[i] = embed_public_bytes(operands[i]);
    kvorum_status status = call_merge(context, key, base, all, count, ret_value);
    if (all != few)
        free(all);
    return status;
}

/* --- filtering ----------------------------------------------------------------------------- */

static bool keep(void *context, struct bytes key, struct bytes value)
{
    const kvorum_compaction_filter *filter = context;
    return filter->keep(filter->context, embed_public_bytes(key), embed_public_bytes(value));
}

/* --- logging ------------------------------------------------------------------------------- */

static enum kvorum_log_level public_level(enum log_level level)
{
    return level == LOG_LEVEL_ERROR  ? KVORUM_LOG_ERROR
           : level == LOG_LEVEL_WARN ? KVORUM_LOG_WARN
                                     : KVORUM_LOG_INFO;
}

/* A line that there is no memory for is lost: nobody could be told. */
static void write_line(void *context, enum log_level level, struct bytes line)
{
    const kvorum_logger *logger = context;
    if (line.size > 0 && line.data[line.size - 1] == '\n')
        line.size--;
    if (line.size > LEVEL_COLUMNS)
        line = bytes_from(line, LEVEL_COLUMNS);
    char *text = strndup((const char *)line.data, line.size);
    if (text != NULL)
        logger->write(logger->context, public_level(level), text);
    free(text);
}

/* ------------------------------------------------------------------------------------------- */

kvorum_status embed_callbacks_init(kvorum_store *store)
{
    kvorum_options *options = &store->options;
    store->log =
        (struct log){ .level = options->log.write == NULL ? LOG_LEVEL_NONE : LOG_LEVEL_INFO,
                      .format = LOG_FORMAT_TEXT,
                      .write = write_line,
                      .context = &options->log };
    store->filter = (struct engine_compaction_filter){ keep, &options->filter };
    if (options->merge.name == NULL)
        return KVORUM_OK;
    store->merge_name = strdup(options->merge.name);
    store->merge = (struct engine_merge_operator){ store->merge_name, merge, &options->merge };
    return store->merge_name == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
}

void embed_callbacks_done(kvorum_store *store)
{
    free(store->merge_name);
}
