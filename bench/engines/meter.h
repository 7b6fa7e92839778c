/* SPDX-License-Identifier: Apache-2.0 */
/** What a phase cost: time, processor (ours and that of everything else), bytes sent to the disk,
 *  memory.  Thread: the main one, but for ticks(). */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <time.h>

struct usage {
    double seconds;         /* since any fixed point */
    double own, all;        /* processor seconds: this process; the machine without the kernel's own
                             * threads, and with what the host stole */
    uint64_t written, read; /* bytes that went to or came from the disk, for this process */
};

/** Monotonic and much cheaper than what is measured. */
static inline uint64_t ticks(void)
{
#ifdef __x86_64__
    return __builtin_ia32_rdtsc();
#else
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
#endif
}
/** Measured once, by waiting 20 ms. */
double ticks_per_second(void);

/** What takes long is looked at before `begin` and after `end`, outside of what is measured. */
void usage_begin(struct usage *ret_usage);
void usage_end(struct usage *ret_usage);
/** Processors that others used between the two, on average. */
double usage_foreign(const struct usage *begin, const struct usage *end);
/** Wait until others use less than 0.15 processors, at most so long; what they used last. */
double meter_wait_quiet(double seconds_max);

/** Watch the memory of this process from now on.  A thread that looks 20 times a second. */
void memory_watch(void);
/** Most memory resident since memory_watch, beyond what was then; bytes.  Mapped files count: they
 *  are the cache of an engine that maps its tables, as blocks on the heap are that of another. */
uint64_t memory_peak(void);
/** Bytes of disk that the files below `path` take. */
uint64_t files_size(const char *path);
/** Write back and drop from the page cache every file below `path`; close the store before. */
void files_evict(const char *path);

#endif
