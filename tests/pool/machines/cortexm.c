/* cortexm.c - start-up for a Cortex-M3 in qemu (mps2-an385), with output and exit by semihosting. */
#include "port.h"
#include <stdint.h>

extern uint32_t stack_top[], data_from[], data_begin[], data_end[], bss_begin[], bss_end[];
void reset(void);
void fault(void);

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void port_put(char c) { semihost(3, &c); } /* SYS_WRITEC */

void port_exit(int status)
{
    const uint32_t arguments[2] = {0x20026, (uint32_t)status}; /* ADP_Stopped_ApplicationExit */
    semihost(0x20, arguments);                                  /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

void fault(void)
{
    port_say("not ok - a fault\n");
    port_exit(3);
}

void reset(void)
{
    uint32_t *to, *from = data_from;
    for (to = data_begin; to < data_end;)
        *to++ = *from++;
    for (to = bss_begin; to < bss_end;)
        *to++ = 0;
    port_exit(pool_test());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault};
