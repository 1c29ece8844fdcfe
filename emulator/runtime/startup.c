/* From reset to main(): the vector table, floating point, .data, .bss, constructors. */

#include <stdint.h>
#include <stdlib.h>

#include "protection.h"

#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define VTOR (*(volatile uint32_t *)0xE000ED08u)

typedef void (*function)(void);

extern uint32_t __stack_top[];
extern uint32_t __data_load[], __data_start[], __data_end[];
extern uint32_t __bss_start[], __bss_end[];
extern const function __preinit_array_start[], __preinit_array_end[];
extern const function __init_array_start[], __init_array_end[];

/* What a C++ destructor of a static object is registered under. */
void *__dso_handle = 0;

int main(void);
void Reset_Handler(void);
void Fault_Handler(void);

/*
 * Every exception without a handler of its own: report_fault() with the place of what the processor has pushed. After
 * a stack overflow (fewer than 256 bytes left) the pointer starts over at the top, whose contents nobody needs now.
 */
__attribute__((naked, used)) void Fault_Handler(void)
{
    __asm volatile(
        "mov r1, lr             \n"
        "movs r2, #4            \n"
        "mrs r0, msp            \n"
        "tst r1, r2             \n"
        "beq 1f                 \n"
        "mrs r0, psp            \n"
        "1: ldr r1, =__stack_limit + 256 \n"
        "mov r2, sp             \n"
        "cmp r2, r1             \n"
        "bhs 2f                 \n"
        "ldr r1, =__stack_top   \n"
        "mov sp, r1             \n"
        "2: bl report_fault     \n"
        ".ltorg                 \n");
}

#define OVERRIDABLE __attribute__((weak, alias("Fault_Handler")))
void NMI_Handler(void) OVERRIDABLE;
void HardFault_Handler(void) OVERRIDABLE;
void MemManage_Handler(void) OVERRIDABLE;
void BusFault_Handler(void) OVERRIDABLE;
void UsageFault_Handler(void) OVERRIDABLE;
void SecureFault_Handler(void) OVERRIDABLE;
void SVC_Handler(void) OVERRIDABLE;
void DebugMon_Handler(void) OVERRIDABLE;
void PendSV_Handler(void) OVERRIDABLE;
void SysTick_Handler(void) OVERRIDABLE;

__attribute__((section(".isr_vector"), used)) const function vector_table[16] = {
    (function)(uintptr_t)__stack_top,
    Reset_Handler,
    NMI_Handler,
    HardFault_Handler,
    MemManage_Handler,
    BusFault_Handler,
    UsageFault_Handler,
    SecureFault_Handler,
    Fault_Handler,
    Fault_Handler,
    Fault_Handler,
    SVC_Handler,
    DebugMon_Handler,
    Fault_Handler,
    PendSV_Handler,
    SysTick_Handler,
};

static void call_each(const function *begin, const function *end)
{
    while (begin != end) {
        (*begin++)();
    }
}

static __attribute__((noinline, noreturn, used)) void start_program(void)
{
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end; ) {
        *to++ = *from++;
    }
    for (uint32_t *to = __bss_start; to < __bss_end; ) {
        *to++ = 0;
    }
    call_each(__preinit_array_start, __preinit_array_end);
    call_each(__init_array_start, __init_array_end);
    exit(main());
}

/* Its own function: the copying above may be compiled to vector instructions, which fault until CPACR allows them. */
__attribute__((used, noreturn)) void Reset_Handler(void)
{
    VTOR = (uint32_t)vector_table;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= 0xFu << 20;
#endif
    __asm volatile("dsb\n isb" ::: "memory");
    protect_memory();
    start_program();
}
