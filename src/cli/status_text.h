/* SPDX-License-Identifier: Apache-2.0 */
/** A node's status document (JSON, docs/operations/status.md) as people read it.  Pure. */
#ifndef CLI_STATUS_TEXT_H
#define CLI_STATUS_TEXT_H

#include <jansson.h>

#include "base/buffer.h"

/** NULL when `status` has what the functions below need, else what is missing. */
const char *status_problem(const json_t *status);
/** All nodes are alive and every partition has its quorum. */
bool status_healthy(const json_t *status);
/** The cluster's health in one sentence, computed from the document. */
void status_sentence(const json_t *status, struct buffer *ret_text);
/** One screen, with a newline at its end. */
void status_screen(const json_t *status, bool colour, struct buffer *ret_text);

/** A number of the document, 0 when absent. */
uint64_t status_number(const json_t *status, const char *name);

#endif
