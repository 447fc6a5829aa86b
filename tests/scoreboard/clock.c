/* A wall clock for one process: the real one, shifted by the milliseconds in the file KUSTODY_TEST_CLOCK.
 *
 * Only clock_gettime(CLOCK_REALTIME) and gettimeofday are shifted. Waits with a deadline on the real clock are left alone: libfaketime,
 * which shifts the deadline and not the wait, lets librdkafka's threads sleep for the whole shift. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

__attribute__((constructor)) static void map_shift(void) {
    const char *path = getenv("KUSTODY_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) abort();
    void *page = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    shift = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, clock, at);
    if (!failed && clock == CLOCK_REALTIME && shift) {
        int64_t nanoseconds = at->tv_nsec + (*shift % 1000) * 1000000;
        at->tv_sec += *shift / 1000 + (nanoseconds < 0 ? -1 : nanoseconds / 1000000000);
        at->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return failed;
}
