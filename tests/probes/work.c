/* Hits each probe: fills and empties the raw heap and the movable one, and compacts. */
#include <tinymem/tinymem.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { N = 20000 };

int main(void)
{
    static void *p[N];
    static tm_handle_t h[N];
    for (int i = 0; i < N; i++)
        p[i] = memset(malloc(500), 1, 500);
    for (int i = 0; i < N; i++)
        free(p[i]);
    (void)malloc_trim(0);
    for (int i = 0; i < N; i++)
        h[i] = tm_alloc(200);
    for (int i = 0; i < N; i++)
        if (i % 10 != 0)
            tm_free(h[i]);
    tm_compact();
    return 0;
}
