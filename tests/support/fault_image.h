/* SPDX-License-Identifier: Apache-2.0 */
/** What is on a disk at one moment: inodes, and names for them.  Folders are names too.
 *
 *  Contents are shared between copies of an image until one of them is written to, so a copy costs
 *  no bytes.  Thread: one at a time. */
#ifndef TESTS_SUPPORT_FAULT_IMAGE_H
#define TESTS_SUPPORT_FAULT_IMAGE_H

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULT_DISK_PATH = 96, FAULT_FOLDER = -1 /* the inode of every folder */ };

struct fault_bytes {
    unsigned references;
    uint64_t size, capacity;
    uint8_t *data;
};

struct fault_name {
    char path[FAULT_DISK_PATH];
    int inode;
};

struct fault_names {
    struct fault_name *list;
    int count, capacity;
};

struct fault_image {
    struct fault_bytes **inodes;
    int inode_count;
    struct fault_names names;
};

#ifndef FAULT_REALLOC
#define FAULT_REALLOC realloc
#endif

/* --- contents ------------------------------------------------------------------------------ */

static inline void *fault_memory(void *memory, size_t size)
{
    void *more = FAULT_REALLOC(memory, size + 1);
    assert(more != NULL);
    return more;
}

static inline void fault_bytes_release(struct fault_bytes *bytes)
{
    if (--bytes->references > 0)
        return;
    free(bytes->data);
    free(bytes);
}

static inline struct fault_bytes *fault_bytes_create(const uint8_t *data, uint64_t size)
{
    struct fault_bytes *bytes = fault_memory(NULL, sizeof(*bytes));
    *bytes = (struct fault_bytes){ 1, size, size, fault_memory(NULL, size) };
    if (size > 0)
        memcpy(bytes->data, data, size);
    return bytes;
}

/** Those of inode `index`, which may be changed. */
static inline struct fault_bytes *fault_image_bytes(struct fault_image *image, int index)
{
    struct fault_bytes *bytes = image->inodes[index];
    if (bytes->references == 1)
        return bytes;
    image->inodes[index] = fault_bytes_create(bytes->data, bytes->size);
    bytes->references--;
    return image->inodes[index];
}

static inline void fault_resize(struct fault_bytes *bytes, uint64_t size)
{
    if (size > bytes->capacity) {
        bytes->capacity = size;
        bytes->data = fault_memory(bytes->data, size);
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static inline void fault_write(struct fault_bytes *bytes, uint64_t offset, const uint8_t *data,
                               size_t size)
{
    if (offset + size > bytes->size)
        fault_resize(bytes, offset + size);
    if (size > 0)
        memcpy(bytes->data + offset, data, size);
}

/* --- names --------------------------------------------------------------------------------- */

static inline struct fault_name *fault_find(const struct fault_names *names, const char *path)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->list[i].path, path) == 0)
            return &names->list[i];
    return NULL;
}

static inline void fault_set_name(struct fault_names *names, const char *path, int inode)
{
    struct fault_name *name = fault_find(names, path);
    if (name == NULL) {
        if (names->count == names->capacity) {
            names->capacity = names->capacity * 2 + 16;
            names->list =
                fault_memory(names->list, (size_t)names->capacity * sizeof(names->list[0]));
        }
        name = &names->list[names->count++];
        snprintf(name->path, sizeof(name->path), "%s", path);
    }
    name->inode = inode;
}

static inline void fault_unset_name(struct fault_names *names, const char *path)
{
    struct fault_name *name = fault_find(names, path);
    if (name != NULL)
        *name = names->list[--names->count];
}

static inline bool fault_is_in(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && path[size] == '/';
}

/* --- images -------------------------------------------------------------------------------- */

static inline int fault_image_add(struct fault_image *image)
{
    size_t size = (size_t)(image->inode_count + 1) * sizeof(image->inodes[0]);
    image->inodes = fault_memory(image->inodes, size);
    image->inodes[image->inode_count] = fault_bytes_create(NULL, 0);
    return image->inode_count++;
}

/** `to` is empty. */
static inline void fault_image_copy(struct fault_image *to, const struct fault_image *from)
{
    size_t inodes_size = (size_t)from->inode_count * sizeof(from->inodes[0]);
    size_t names_size = (size_t)from->names.count * sizeof(from->names.list[0]);
    *to = *from;
    to->inodes = fault_memory(NULL, inodes_size);
    to->names.list = fault_memory(NULL, names_size);
    to->names.capacity = to->names.count;
    if (inodes_size > 0)
        memcpy(to->inodes, from->inodes, inodes_size);
    if (names_size > 0)
        memcpy(to->names.list, from->names.list, names_size);
    for (int i = 0; i < to->inode_count; i++)
        to->inodes[i]->references++;
}

static inline void fault_image_done(struct fault_image *image)
{
    for (int i = 0; i < image->inode_count; i++)
        fault_bytes_release(image->inodes[i]);
    free(image->inodes);
    free(image->names.list);
    *image = (struct fault_image){ 0 };
}

#endif
