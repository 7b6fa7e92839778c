/* SPDX-License-Identifier: Apache-2.0 */
/* Replays the files of a corpus folder through a fuzz target, without a fuzzing engine, as TAP. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    if (file == NULL || fstat(fileno(file), &about) != 0)
        return -1;
    uint8_t *data = malloc((size_t)about.st_size + 1);
    size_t size = data == NULL ? 0 : fread(data, 1, (size_t)about.st_size, file);
    fclose(file);
    if (data == NULL || size != (size_t)about.st_size)
        return -1;
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, not_hidden, alphasort) : -1;
    if (count <= 0) {
        printf("1..1\nnot ok 1 - a corpus is there: %s\n", argc == 2 ? argv[1] : "(no folder)");
        return 1;
    }
    printf("1..%d\n", count);
    int failed = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
        int result = replay(path);
        failed += result != 0;
        printf("%s %d - %s\n", result == 0 ? "ok" : "not ok", i + 1, path);
        fflush(stdout);
        free(entries[i]);
    }
    free(entries);
    return failed != 0;
}
