/* A firmware that faults must say so: one line with the place and the cause, and an exit code that is not zero. */

#include "fault.h"

#include <stdint.h>

#include "semihosting.h"

#define CFSR (*(volatile uint32_t *)0xE000ED28u)
#define MMFAR (*(volatile uint32_t *)0xE000ED34u)
#define BFAR (*(volatile uint32_t *)0xE000ED38u)

enum { MMFAR_VALID = 1u << 7, BFAR_VALID = 1u << 15, STACKING_FAILED = 1u << 4 | 1u << 12 | 1u << 20 };

/* Bits of the Configurable Fault Status Register: Armv8-M Architecture Reference Manual, D1.2.11; Armv7-M, B3.2.15. */
static const struct {
    uint8_t bit;
    const char *cause;
} causes[] = {
    {0, "instruction fetch refused"},
    {1, "data access refused"},
    {3, "return from exception refused"},
    {8, "instruction fetch failed"},
    {9, "address does not exist"},
    {10, "address does not exist"},
    {11, "return from exception failed"},
    {16, "undefined instruction"},
    {17, "jump to an address without the Thumb bit"},
    {18, "wrong exception return"},
    {19, "no coprocessor or floating point"},
    {24, "unaligned access"},
    {25, "division by zero"},
};

extern const uint32_t __stack_limit[];
extern char __flash_origin[], __flash_size[];

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

static int is_stack_overflow(const uint32_t *frame, uint32_t status)
{
    const uint32_t limit = (uint32_t)__stack_limit;
    const int just_below = (status & MMFAR_VALID) != 0 && MMFAR < limit && limit - MMFAR <= 0x10000u;
    return (status & STACKING_FAILED) != 0 || frame < __stack_limit || just_below;
}

static const char *cause_of(uint32_t status)
{
    if ((status & MMFAR_VALID) != 0 && MMFAR - (uint32_t)__flash_origin < (uint32_t)__flash_size) {
        return "write to flash";
    }
    for (unsigned i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if ((status >> causes[i].bit & 1u) != 0) {
            return causes[i].cause;
        }
    }
    return "unknown cause";
}

static void put_kind(uint32_t exception)
{
    static const char *const names[] = {"NMI", "HardFault", "MemManage", "BusFault", "UsageFault", "SecureFault"};
    if (exception >= 2 && exception < 8) {
        put(names[exception - 2]);
    } else {
        put_hex("no handler for exception ", exception);
    }
}

void report_fault(const uint32_t *frame)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    const uint32_t status = CFSR;
    const int overflow = is_stack_overflow(frame, status);
    put("\n*** ");
    put_kind(exception);
    put(": ");
    put(overflow ? "stack overflow" : cause_of(status));
    if (frame >= __stack_limit) {
        put_hex(", PC ", frame[6]);
        put_hex(", LR ", frame[5]);
    }
    put_hex(", SP ", (uint32_t)frame);
    put_hex(", CFSR ", status);
    if ((status & MMFAR_VALID) != 0) {
        put_hex(", address ", MMFAR);
    } else if ((status & BFAR_VALID) != 0) {
        put_hex(", address ", BFAR);
    }
    put("\n");
    semihosting_exit(EXIT_BY_FAULT);
}
