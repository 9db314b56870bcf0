/* held - small blocks of which a few survive, each kind allocated at a site of its own: survivors keep pages that are
 * otherwise empty. It says how many bytes have been written, and waits for the end of its input; a line frees all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymem/profile.h>
#include <tinymem/tinymem.h>

#define SITE __attribute__((noinline))
enum { KINDS = 3, BLOCKS = 60000, OBJECTS = 2000 };
static const unsigned one_in[KINDS] = {40, 80, 160};
static char *block[KINDS][BLOCKS];
static tm_handle_t object[OBJECTS];

SITE static char *site_many(void)
{
    char *p = malloc(200);
    return memset(p, 1, 200);
}

SITE static char *site_some(void)
{
    char *p = malloc(400);
    return memset(p, 1, 400);
}

SITE static char *site_few(void)
{
    char *p = malloc(1000);
    return memset(p, 1, 1000);
}

SITE static tm_handle_t site_object(void) { return tm_alloc(300); }

int main(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        block[0][i] = site_many();
        block[1][i] = site_some();
        block[2][i] = site_few();
    }
    for (int i = 0; i < OBJECTS; i++)
        object[i] = site_object();
    for (int k = 0; k < KINDS; k++)
        for (unsigned i = 0; i < BLOCKS; i++)
            if (i % one_in[k] != 0)
                free(block[k][i]);
    for (int i = 0; i < OBJECTS; i += 2)
        tm_free(object[i]);
    puts("ready");
    (void)fflush(stdout);
    int c;
    while ((c = getchar()) != EOF) {
        for (int k = 0; k < KINDS; k++)
            for (unsigned i = 0; i < BLOCKS; i += one_in[k])
                free(block[k][i]);
        puts("done");
        (void)fflush(stdout);
        while (c != '\n' && c != EOF)
            c = getchar();
    }
    return 0;
}
