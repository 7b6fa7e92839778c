/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_documents.h"

void json_documents_init(struct json_documents *documents, size_t document_limit)
{
    *documents = (struct json_documents){ 0 };
    buffer_init(&documents->text, document_limit);
}

void json_documents_done(struct json_documents *documents)
{
    buffer_done(&documents->text);
}

bool json_documents_add(struct json_documents *documents, struct bytes input)
{
    buffer_append_bytes(&documents->text, input);
    return !documents->text.failed;
}

/* True when `c` closes the outermost bracket. */
static bool step(struct json_documents *documents, uint8_t c)
{
    if (documents->in_string) {
        documents->in_string = c != '"' || documents->escaped;
        documents->escaped = c == '\\' && !documents->escaped;
        return false;
    }
    documents->in_string = c == '"';
    if (c == '{' || c == '[')
        documents->depth++;
    else if ((c == '}' || c == ']') && documents->depth > 0)
        return --documents->depth == 0;
    return false;
}

bool json_documents_next(struct json_documents *documents, struct bytes *ret_document)
{
    buffer_consume(&documents->text, documents->end);
    documents->scanned -= documents->end;
    documents->end = 0;
    while (documents->scanned < documents->text.size) {
        if (!step(documents, documents->text.data[documents->scanned++]))
            continue;
        documents->end = documents->scanned;
        *ret_document = bytes_make(documents->text.data, documents->end);
        return true;
    }
    return false;
}
