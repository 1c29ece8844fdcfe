/* A firmware that faults must say so: one line with the place and the cause, and an exit code that is not zero. */

#include "fault.h"

#include <stdint.h>

#include "semihosting.h"

#define CFSR (*(volatile uint32_t *)0xE000ED28u)
#define HFSR (*(volatile uint32_t *)0xE000ED2Cu)
#define MMFAR (*(volatile uint32_t *)0xE000ED34u)
#define BFAR (*(volatile uint32_t *)0xE000ED38u)

enum { MMFAR_VALID = 1u << 7, BFAR_VALID = 1u << 15 };

/* Bits of the Configurable Fault Status Register: Armv8-M Architecture Reference Manual, D1.2.11; Armv7-M, B3.2.15. */
static const struct {
    uint8_t bit;
    const char *cause;
} causes[] = {
    {0, "instruction fetch refused"},
    {1, "data access refused"},
    {3, "return from exception refused"},
    {4, "stack overflow"},
    {8, "instruction fetch failed"},
    {9, "address does not exist"},
    {10, "address does not exist"},
    {11, "return from exception failed"},
    {12, "stack overflow"},
    {16, "undefined instruction"},
    {17, "jump to an address without the Thumb bit"},
    {18, "wrong exception return"},
    {19, "no coprocessor or floating point"},
    {20, "stack overflow"},
    {24, "unaligned access"},
    {25, "division by zero"},
};

extern uint32_t __stack_limit[], __stack_top[];

static void put(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    semihosting_write(text, length);
}

static void put_hex(const char *name, uint32_t value)
{
    char digits[11] = "0x00000000";
    for (int place = 9; place > 1; place--) {
        digits[place] = "0123456789abcdef"[value & 15u];
        value >>= 4;
    }
    put(name);
    put(digits);
}

static const char *cause_of(uint32_t status)
{
    for (unsigned i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if ((status >> causes[i].bit & 1u) != 0) {
            return causes[i].cause;
        }
    }
    return "cause unknown";
}

static const char *name_of(uint32_t exception)
{
    static const char *const names[] = {"NMI", "HardFault", "MemManage", "BusFault", "UsageFault", "SecureFault"};
    return exception >= 2 && exception < 8 ? names[exception - 2] : "Unexpected exception";
}

__attribute__((used)) void report_fault(const uint32_t *frame)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    const uint32_t status = CFSR;
    put("\n*** ");
    put(name_of(exception));
    put(": ");
    put(exception >= 2 && exception < 8 ? cause_of(status) : "no handler");
    if (frame >= __stack_limit) {
        put_hex(", PC ", frame[6]);
        put_hex(", LR ", frame[5]);
    } else {
        put_hex(", SP ", (uint32_t)frame);
    }
    put_hex(", CFSR ", status);
    put_hex(", HFSR ", HFSR);
    if ((status & MMFAR_VALID) != 0) {
        put_hex(", MMFAR ", MMFAR);
    }
    if ((status & BFAR_VALID) != 0) {
        put_hex(", BFAR ", BFAR);
    }
    put_hex(", exception ", exception);
    put("\n");
    semihosting_exit(EXIT_BY_FAULT);
}
