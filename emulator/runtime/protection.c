#include "protection.h"

#include <stdint.h>

#define MPU_TYPE (*(volatile uint32_t *)0xE000ED90u)
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94u)
#define MPU_RNR (*(volatile uint32_t *)0xE000ED98u)
#define MPU_RBAR (*(volatile uint32_t *)0xE000ED9Cu)
#define MPU_RASR (*(volatile uint32_t *)0xE000EDA0u) /* Armv7-M */
#define MPU_RLAR (*(volatile uint32_t *)0xE000EDA0u) /* Armv8-M */
#define MPU_MAIR0 (*(volatile uint32_t *)0xE000EDC0u)

enum { ENABLE = 1u, DEFAULT_MAP_ELSEWHERE = 1u << 2 };

extern char __flash_origin[], __flash_size[];

#if __ARM_ARCH >= 8

/* Below SRAM these machines map nothing: an overflowing stack faults without a region of its own. */
static void define_regions(void)
{
    enum { READ_ONLY = 3u << 1, WRITE_BACK = 0xFFu };
    const uint32_t origin = (uint32_t)__flash_origin;
    MPU_MAIR0 = WRITE_BACK;
    MPU_RNR = 0;
    MPU_RBAR = origin | READ_ONLY;
    MPU_RLAR = ((origin + (uint32_t)__flash_size - 1u) & ~31u) | ENABLE;
}

#else

static void define_region(uint32_t number, uint32_t origin, uint32_t size_log2, uint32_t attributes)
{
    MPU_RNR = number;
    MPU_RBAR = origin;
    MPU_RASR = attributes | (size_log2 - 1u) << 1 | ENABLE;
}

/* Sizes are powers of two; what flash lacks to the next one is not mapped anyway. */
static void define_regions(void)
{
    enum { NO_ACCESS = 1u << 28, READ_ONLY = 6u << 24, WRITE_THROUGH = 1u << 17 };
    uint32_t flash_log2 = 5;
    while (1u << flash_log2 < (uint32_t)__flash_size) {
        flash_log2++;
    }
    define_region(0, (uint32_t)__flash_origin, flash_log2, READ_ONLY | WRITE_THROUGH);
    define_region(1, 0x10000000u, 28, NO_ACCESS);
}

#endif

void protect_memory(void)
{
    if (MPU_TYPE == 0) {
        return;
    }
    define_regions();
    MPU_CTRL = ENABLE | DEFAULT_MAP_ELSEWHERE;
    __asm volatile("dsb\n isb" ::: "memory");
}
