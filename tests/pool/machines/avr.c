/* avr.c - an AVR in simavr: output by the serial line, the end by sleeping with interrupts off. */
#include "port.h"
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

void port_put(char c)
{
    while (!(UCSR0A & (1 << UDRE0))) {
    }
    UDR0 = (uint8_t)c;
}

void port_exit(int status)
{
    port_say(status ? "exit: failed\n" : "exit: passed\n");
    while (!(UCSR0A & (1 << UDRE0))) {
    }
    cli();
    sleep_enable();
    for (;;)
        sleep_cpu();
}

int main(void)
{
    UCSR0B = 1 << TXEN0;
    port_exit(pool_test());
}
