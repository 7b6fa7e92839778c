/* SPDX-License-Identifier: Apache-2.0 */
#include "os/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/rows.h"

static void test_line(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log_file file;
    log_file_init(&file, ends[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_debug(&file.log, "dropped");
    log_info(&file.log, "started", LOG_U64("port", 8098));
    char line[200] = "";
    assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
    assert_string_equal(strchr(line, ' '), " info  started port=8098\n");
    assert_int_equal(line[10], 'T');
    log_file_done(&file);
    close(ends[0]);
    close(ends[1]);
}

static void test_lost(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    struct log_file file;
    log_file_init(&file, ends[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    errno = ENOENT;
    while (atomic_load(&file.lost) == 0)
        log_info(&file.log, "a line that nobody reads");
    assert_int_equal(errno, ENOENT);
    log_file_done(&file);
    close(ends[0]);
    close(ends[1]);
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *context)
{
    const struct log *log = context;
    for (int i = 0; i < LINES; i++)
        log_info(log, "begin", LOG_TEXT("filler", "xxxxxxxxxxxxxxxxxxxxxxxxxxx"),
                 LOG_U64("end", i));
    return NULL;
}

static void test_threads(void)
{
    FILE *stream = tmpfile();
    assert_non_null(stream);
    struct log_file file;
    log_file_init(&file, fileno(stream), LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &file.log), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_file_done(&file);
    rewind(stream);
    char line[300];
    int count = 0, number;
    while (fgets(line, sizeof(line), stream) != NULL) {
        assert_int_equal(sscanf(strchr(line, ' '), " info begin filler=%*[x] end=%d", &number), 1);
        count++;
    }
    assert_int_equal(count, THREADS * LINES);
    fclose(stream);
}

static const struct named_test tests[] = {
    { "a line has a time and its fields", test_line },
    { "a line that cannot be written is counted, errno kept", test_lost },
    { "lines of many threads stay whole", test_threads },
};

int main(void)
{
    return RUN_TESTS("log file", tests);
}
