/* SPDX-License-Identifier: Apache-2.0 */
#include "os/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static kvorum_status status_of_errno(int error)
{
    switch (error) {
    case ENOENT:
        return KVORUM_NOT_FOUND;
    case EACCES:
        return KVORUM_NOT_ALLOWED;
    case ENOMEM:
        return KVORUM_NO_MEMORY;
    case EIO:
        return KVORUM_IO;
    default:
        return KVORUM_INVALID;
    }
}

/* What realpath says of `path` cut behind its parent. */
static char *resolve_parent(char *path, char *last)
{
    if (last == path)
        return realpath(".", NULL);
    if (last == path + 1)
        return realpath("/", NULL);
    last[-1] = '\0';
    return realpath(path, NULL);
}

/* `path` may be changed. */
static kvorum_status join_parent(char *path, char **ret_path)
{
    char *slash = strrchr(path, '/');
    char *last = slash == NULL ? path : slash + 1;
    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return KVORUM_NOT_FOUND; /* it would have been there */
    char *parent = resolve_parent(path, last);
    if (parent == NULL)
        return status_of_errno(errno);
    char *whole;
    int size = asprintf(&whole, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, last);
    free(parent);
    if (size < 0)
        return KVORUM_NO_MEMORY;
    *ret_path = whole;
    return KVORUM_OK;
}

kvorum_status os_path_absolute(const char *path, char **ret_path)
{
    char *whole = realpath(path, NULL);
    if (whole != NULL) {
        *ret_path = whole;
        return KVORUM_OK;
    }
    if (errno != ENOENT || path[0] == '\0')
        return path[0] == '\0' ? KVORUM_INVALID : status_of_errno(errno);
    char *copy = strdup(path);
    if (copy == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t size = strlen(copy); size > 1 && copy[size - 1] == '/'; size--)
        copy[size - 1] = '\0';
    kvorum_status status = join_parent(copy, ret_path);
    free(copy);
    return status;
}
