/*
 * cpu_count: how many threads can compute at once in this process: its CPUs, by affinity, and what its
 * control groups (v1, v2) let it have of them. Knows nothing of what is computed.
 * Threads: any; nothing is kept.
 */
#ifndef INF_CORE_CPU_COUNT_H
#define INF_CORE_CPU_COUNT_H

#include <stddef.h>
#include <stdint.h>

/* At least 1. Hyper-threads of a core count once, and part of a CPU as a whole one. */
int32_t cpu_count(void);

/* How many threads can run at once: the same, with each hyper-thread counted. More wait for each other. */
int32_t cpu_threads(void);

/* ---- for tests */

/* n CPUs within a limit of them (0: none), at least 1; part of a CPU is a whole one. */
int32_t cpus_within(int32_t n, double limit);

/* The limit in CPUs, 0 without one; also for text that is no such file's.
 * max: cpu.max of v2; quota, period: cpu.cfs_quota_us and cpu.cfs_period_us of v1. */
double cpu_limit_v2(const char *max);
double cpu_limit_v1(const char *quota, const char *period);

/* The lowest limit of this process's group and those above it; files are looked up under `root`, whose
 * proc/self and mounted groups they are ("" is the system's). */
double cpu_limit(const char *root);

#endif
