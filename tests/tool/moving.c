/* moving - threads that allocate and free objects of the movable heap in waves, beside the mover: slabs are made,
 * filled, emptied and given back all the time. Ends with its input. */
#include <tinymem/tinymem.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 2, OBJECTS = 8000, REST_US = 8000 };

static void *waves(void *unused)
{
    static __thread tm_handle_t object[OBJECTS];
    unsigned seed = (unsigned)(size_t)&seed;
    for (;;) {
        size_t base = 16 + (seed >> 8) % 3000;
        for (int i = 0; i < OBJECTS; i++) {
            seed = seed * 1103515245u + 12345u;
            object[i] = tm_alloc(base + (seed >> 16) % 64);
            memset(tm_pin(object[i]), 1, 8);
            tm_unpin(object[i]);
        }
        for (int i = 0; i < OBJECTS; i++)
            if (i % 16 != 0)
                tm_free(object[i]);
        (void)usleep(REST_US); // so that some looks are snapshots
        for (int i = 0; i < OBJECTS; i += 16)
            tm_free(object[i]);
    }
    return unused;
}

int main(void)
{
    pthread_t t;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&t, NULL, waves, NULL) != 0)
            return 1;
    puts("ready");
    (void)fflush(stdout);
    int c;
    do
        c = getchar();
    while (c != EOF);
    return 0;
}
