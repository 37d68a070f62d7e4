/* A wall clock that a test shifts, for one process: preloaded, it takes the place of the C library's calls. How far it is
   shifted, in ns, stands in the file that SHIFTED_CLOCK names, which the test may rewrite at any time. The monotonic
   clocks stay as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *shift_ns;

__attribute__((constructor)) static void map_shift(void) {
  const char *path = getenv("SHIFTED_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0)
    return;
  void *mapped = mmap(NULL, sizeof *shift_ns, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED)
    shift_ns = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  if (failed || !shift_ns || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
    return (int)failed;
  long long ns = now->tv_nsec + *shift_ns % 1000000000;
  now->tv_sec += *shift_ns / 1000000000 + (ns < 0 ? -1 : ns >= 1000000000);
  now->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise))
    return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *seconds) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now))
    return -1;
  if (seconds)
    *seconds = now.tv_sec;
  return now.tv_sec;
}
