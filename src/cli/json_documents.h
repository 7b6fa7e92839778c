/* SPDX-License-Identifier: Apache-2.0 */
/** JSON objects that come one after another in a stream of bytes ({"keys":[...]}{"keys":[...]}):
 *  finds where each ends, so that each can be parsed by itself.  Pure. */
#ifndef CLI_JSON_DOCUMENTS_H
#define CLI_JSON_DOCUMENTS_H

#include "base/buffer.h"

struct json_documents {
    struct buffer text;  /* limit: of one document */
    size_t scanned, end; /* end: size of the whole document at the front, 0 for none */
    unsigned depth;
    bool in_string, escaped;
};

void json_documents_init(struct json_documents *documents, size_t document_limit);
void json_documents_done(struct json_documents *documents);
/** False when a document is above the limit or out of memory. */
bool json_documents_add(struct json_documents *documents, struct bytes input);
/** The next whole document, valid until the next call; false when more input is needed. */
bool json_documents_next(struct json_documents *documents, struct bytes *ret_document);

#endif
