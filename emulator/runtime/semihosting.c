#include "semihosting.h"

#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_CLOCK = 0x10, SYS_TIME = 0x11, SYS_EXIT_EXTENDED = 0x20 };
enum { OPEN_FOR_WRITING = 4, STOPPED_BY_APPLICATION_EXIT = 0x20026 };

static int call(int operation, const void *arguments)
{
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void semihosting_write(const char *text, size_t length)
{
    static int console;
    if (console == 0) {
        static const char name[] = ":tt";
        const uintptr_t open[] = {(uintptr_t)name, OPEN_FOR_WRITING, sizeof name - 1};
        console = call(SYS_OPEN, open);
    }
    const uintptr_t write[] = {(uintptr_t)console, (uintptr_t)text, length};
    call(SYS_WRITE, write);
}

void semihosting_exit(int code)
{
    const uintptr_t block[] = {STOPPED_BY_APPLICATION_EXIT, (code & ~0xFF) == 0 ? (uintptr_t)code : 255u};
    for (;;) {
        call(SYS_EXIT_EXTENDED, block);
    }
}

int semihosting_clock(void)
{
    return call(SYS_CLOCK, 0);
}

int semihosting_time(void)
{
    return call(SYS_TIME, 0);
}
