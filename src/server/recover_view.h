/* SPDX-License-Identifier: Apache-2.0 */
/** A recovery from lost voters for operators, as a JSON document (docs/http.md). */
#ifndef SERVER_RECOVER_VIEW_H
#define SERVER_RECOVER_VIEW_H

#include "node/recover/recover.h"

void recover_view_json(const Peer__RecoverReport *report, struct buffer *ret_json);

#endif
