#ifndef EMULATOR_SEMIHOSTING_H
#define EMULATOR_SEMIHOSTING_H

#include <stddef.h>

/* Arm's semihosting (Arm document IHI0011): QEMU does the work at each `bkpt 0xAB`. */

enum {
    EXIT_BY_ABORT = 134, /* 128 + SIGABRT and 128 + SIGSEGV, as shells report them */
    EXIT_BY_FAULT = 139,
};

/* Bytes to the console. */
void semihosting_write(const char *text, size_t length);

/* End the emulation. Exit codes have eight bits; any other code becomes 255, so that no failure looks like success. */
__attribute__((noreturn)) void semihosting_exit(int code);

/* Hundredths of a second since the start; seconds since 1970. */
int semihosting_clock(void);
int semihosting_time(void);

#endif
