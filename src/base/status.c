/* SPDX-License-Identifier: Apache-2.0 */
#include "kvorum/status.h"

const char *kvorum_status_text(kvorum_status status)
{
    switch (status) {
#define X(name, number, class, text)                                                               \
    case KVORUM_##name:                                                                            \
        return text;
        KVORUM_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

const char *kvorum_status_name(kvorum_status status)
{
    switch (status) {
#define X(name, number, class, text)                                                               \
    case KVORUM_##name:                                                                            \
        return #name;
        KVORUM_STATUS_LIST(X)
#undef X
    }
    return "UNKNOWN_STATUS";
}

enum kvorum_status_class kvorum_status_class(kvorum_status status)
{
    switch (status) {
#define X(name, number, class, text)                                                               \
    case KVORUM_##name:                                                                            \
        return KVORUM_##class;
        KVORUM_STATUS_LIST(X)
#undef X
    }
    return KVORUM_UNKNOWN;
}
