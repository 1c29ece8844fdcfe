/* What newlib asks of an operating system. `used`: under LTO only the library refers to these functions. */

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>

#include "semihosting.h"

#define SYSTEM_CALL __attribute__((used))

extern char __heap_start[], __heap_end[];

/* Grow the heap. It ends with the board's SRAM; beyond that malloc() returns null with ENOMEM. */
SYSTEM_CALL void *_sbrk(ptrdiff_t increment)
{
    static char *heap_break = __heap_start;
    if (increment > __heap_end - heap_break || increment < __heap_start - heap_break) {
        errno = ENOMEM;
        return (void *)-1;
    }
    char *previous = heap_break;
    heap_break += increment;
    return previous;
}

SYSTEM_CALL int _write(int file, const char *text, int length)
{
    (void)file;
    semihosting_write(text, (size_t)length);
    return length;
}

/* Standard input is always at its end. */
SYSTEM_CALL int _read(int file, char *buffer, int length)
{
    (void)file;
    (void)buffer;
    (void)length;
    return 0;
}

SYSTEM_CALL int _close(int file)
{
    (void)file;
    return 0;
}

SYSTEM_CALL int _lseek(int file, int offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return 0;
}

SYSTEM_CALL int _open(const char *name, int flags, int mode)
{
    (void)name;
    (void)flags;
    (void)mode;
    errno = ENOENT;
    return -1;
}

/* A terminal: newlib then writes line by line. */
SYSTEM_CALL int _isatty(int file)
{
    (void)file;
    return 1;
}

SYSTEM_CALL int _fstat(int file, struct stat *status)
{
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

SYSTEM_CALL int _getpid(void)
{
    return 1;
}

/* abort() and assert() end here. */
SYSTEM_CALL int _kill(int process, int signal)
{
    (void)process;
    semihosting_exit(128 + signal);
}

SYSTEM_CALL __attribute__((noreturn)) void _exit(int code)
{
    semihosting_exit(code);
}

SYSTEM_CALL clock_t _times(struct tms *times)
{
    clock_t now = (clock_t)semihosting_clock();
    times->tms_utime = now;
    times->tms_stime = 0;
    times->tms_cutime = 0;
    times->tms_cstime = 0;
    return now;
}

SYSTEM_CALL int _gettimeofday(struct timeval *now, void *zone)
{
    (void)zone;
    now->tv_sec = semihosting_time();
    now->tv_usec = 0;
    return 0;
}
