/* port.h - what a test program needs from its machine, so that it runs on a host, a Cortex-M and an AVR. */
#ifndef POOL_TESTS_PORT_H
#define POOL_TESTS_PORT_H

/* Print a character; end the program. */
void port_put(char c);
void port_exit(int status);

/* The test. */
int pool_test(void);

static inline void port_say(const char *text)
{
    while (*text)
        port_put(*text++);
}

static inline void port_number(unsigned long n)
{
    if (n >= 10)
        port_number(n / 10);
    port_put((char)('0' + n % 10));
}

#endif
