/* thin.c - allocates 256 MiB in small blocks, frees all but one in fifty, then only ticks: every 10 ms it allocates and
 * frees a little, as an idle server does. Says "full", then "thin", and ends when its input does. Argument: bytes of a
 * block. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT_ONE_IN = 50 };
static const size_t total = (size_t)256 << 20;

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static void shuffle(void **blocks, size_t n)
{
    unsigned long long x = 88172645463325252ull;
    for (size_t i = n; i > 1; i--) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        void *tmp = blocks[i - 1];
        blocks[i - 1] = blocks[x % i];
        blocks[x % i] = tmp;
    }
}

static void tick(void)
{
    void *p[20];
    for (int i = 0; i < 20; i++)
        p[i] = malloc(100);
    for (int i = 0; i < 20; i++)
        free(p[i]);
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 4096, n = total / size;
    void **blocks = malloc(n * sizeof *blocks);
    for (size_t i = 0; i < n; i++)
        memset(blocks[i] = malloc(size), 1, size);
    say("full");
    if (getchar() == EOF)
        return 1;
    shuffle(blocks, n);
    for (size_t i = n / KEPT_ONE_IN; i < n; i++)
        free(blocks[i]);
    say("thin");
    for (struct pollfd in = {.fd = 0, .events = POLLIN}; poll(&in, 1, 10) == 0;)
        tick();
    return 0;
}
