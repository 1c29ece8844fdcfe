#ifndef EMULATOR_FAULT_H
#define EMULATOR_FAULT_H

#include <stdint.h>

/*
 * One line on the console, then the end with exit code 139.
 * `frame`: what the processor has pushed, R0-R3, R12, LR, PC, xPSR; outside the stack after an overflow.
 * `used`: only assembly refers to it.
 */
__attribute__((used, noreturn)) void report_fault(const uint32_t *frame);

#endif
