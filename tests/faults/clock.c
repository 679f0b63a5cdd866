/* A clock that jumps: hours forth and back at every look. Preloaded into the programs under test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    static unsigned looks;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (clock == CLOCK_REALTIME) {
        unsigned look = __atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED);
        time->tv_sec += look % 2 ? 7200 : -1000000000;
    }
    return result;
}
