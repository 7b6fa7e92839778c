/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/engines/meter.h"

#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/engines/peer.h"

static atomic_ullong peak, baseline;
static uint64_t found_size; /* of files_size: nftw passes no context */

static double seconds_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double ticks_per_second(void)
{
    static double rate;
    if (rate == 0) {
        double begin = seconds_now(), end;
        uint64_t first = ticks();
        do
            end = seconds_now();
        while (end - begin < 0.02);
        rate = (double)(ticks() - first) / (end - begin);
    }
    return rate;
}

/* The file of /proc as text; false: it is gone. */
static bool slurp(const char *path, char *text, size_t size)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = descriptor < 0 ? -1 : read(descriptor, text, size - 1);
    if (descriptor >= 0)
        close(descriptor);
    text[got < 0 ? 0 : got] = '\0';
    return got > 0;
}

static uint64_t field(const char *text, const char *name)
{
    const char *place = strstr(text, name);
    return place == NULL ? 0 : strtoull(place + strlen(name), NULL, 10);
}

static double machine_seconds(void)
{
    /* cpu user nice system idle iowait irq softirq steal */
    enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 };
    char text[4096], *rest;
    if (!slurp("/proc/stat", text, sizeof(text)))
        bench_fail("cannot read /proc/stat");
    uint64_t busy = 0;
    rest = text + strlen("cpu");
    for (int i = 0; i < FIELDS; i++) {
        uint64_t value = strtoull(rest, &rest, 10);
        busy += i == IDLE || i == IOWAIT ? 0 : value;
    }
    return (double)busy / (double)sysconf(_SC_CLK_TCK);
}

/* Clock ticks that a thread of the kernel used; 0 for any other process. */
static uint64_t kernel_ticks(const char *path)
{
    enum { KERNEL_THREAD = 0x200000 }; /* PF_KTHREAD of linux/sched.h */
    char text[1024];
    unsigned flags;
    unsigned long user, system;
    if (!slurp(path, text, sizeof(text)))
        return 0; /* it ended meanwhile */
    /* pid (name) state, 5 numbers, flags, 4 numbers, times; a name may hold anything */
    const char *rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %lu %lu", &flags,
                               &user, &system) != 3)
        return 0;
    return (flags & KERNEL_THREAD) != 0 ? user + system : 0;
}

/* Threads of the kernel write back what engines wrote: that is no noise. */
static double kernel_seconds(void)
{
    glob_t found;
    uint64_t sum = 0;
    if (glob("/proc/[0-9]*/stat", GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        sum += kernel_ticks(found.gl_pathv[i]);
    globfree(&found);
    return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void look(struct usage *ret_usage)
{
    struct rusage own;
    char text[4096];
    getrusage(RUSAGE_SELF, &own);
    if (!slurp("/proc/self/io", text, sizeof(text)))
        bench_fail("cannot read /proc/self/io");
    *ret_usage = (struct usage){
        .seconds = seconds_now(),
        .own = seconds_of(own.ru_utime) + seconds_of(own.ru_stime),
        .all = machine_seconds(),
        .written = field(text, "\nwrite_bytes: "),
        .read = field(text, "\nread_bytes: "),
    };
}

void usage_begin(struct usage *ret_usage)
{
    double kernel = kernel_seconds();
    look(ret_usage);
    ret_usage->all -= kernel;
}

void usage_end(struct usage *ret_usage)
{
    look(ret_usage);
    ret_usage->all -= kernel_seconds();
}

double usage_foreign(const struct usage *begin, const struct usage *end)
{
    double others = (end->all - begin->all) - (end->own - begin->own);
    double seconds = end->seconds - begin->seconds;
    return seconds <= 0 || others < 0 ? 0 : others / seconds;
}

double meter_wait_quiet(double seconds_max)
{
    double until = seconds_now() + seconds_max, foreign;
    do {
        struct usage begin, end;
        usage_begin(&begin);
        usleep(300 * 1000);
        usage_end(&end);
        foreign = usage_foreign(&begin, &end);
    } while (foreign >= 0.15 && seconds_now() < until);
    return foreign;
}

static uint64_t resident_size(void)
{
    char text[8192];
    if (!slurp("/proc/self/status", text, sizeof(text)))
        bench_fail("cannot read /proc/self/status");
    return field(text, "VmRSS:") * 1024;
}

static void note_memory(void)
{
    unsigned long long now = resident_size(), seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now))
        ;
}

static void *watch(void *context)
{
    for (;;) {
        note_memory();
        usleep(50 * 1000);
    }
    return context;
}

void memory_watch(void)
{
    pthread_t thread;
    atomic_store(&baseline, resident_size());
    if (pthread_create(&thread, NULL, watch, NULL) != 0)
        bench_fail("cannot start a thread");
    pthread_detach(thread);
}

uint64_t memory_peak(void)
{
    note_memory();
    uint64_t high = atomic_load(&peak), low = atomic_load(&baseline);
    return high > low ? high - low : 0;
}

static int add_size(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)path, (void)place;
    found_size += kind == FTW_F ? (uint64_t)status->st_blocks * 512 : 0;
    return 0;
}

uint64_t files_size(const char *path)
{
    found_size = 0;
    nftw(path, add_size, 16, FTW_PHYS);
    return found_size;
}

static int evict(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)place;
    int descriptor = kind == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        /* Dirty pages cannot be dropped. */
        if (fdatasync(descriptor) != 0 || posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) != 0)
            bench_fail("cannot drop %s from the page cache", path);
        close(descriptor);
    }
    return 0;
}

void files_evict(const char *path)
{
    nftw(path, evict, 16, FTW_PHYS);
}

void bench_wait_idle(void)
{
    enum { PERIOD_MS = 250, TRIES = 2400 };
    double last = -1;
    for (int i = 0; i < TRIES; i++) {
        struct usage usage;
        look(&usage);
        if (last >= 0 && usage.own - last < 0.01)
            return;
        last = usage.own;
        usleep(PERIOD_MS * 1000);
    }
    bench_fail("the engine still works in the background after %d s", PERIOD_MS * TRIES / 1000);
}
