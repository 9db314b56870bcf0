/* holes - a heap of handles with a few holes, too few for the mover to begin by itself, and a thread that never rests.
 * Ends with its input. */
#include <tinymem/tinymem.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OBJECTS = 100000, ONE_IN = 25, SIZE = 200, WAVE = 2000 };

static tm_handle_t new_object(void)
{
    tm_handle_t h = tm_alloc(SIZE);
    memset(tm_pin(h), 1, SIZE);
    tm_unpin(h);
    return h;
}

static void *work(void *unused)
{
    static tm_handle_t wave[WAVE];
    for (;;) {
        for (int i = 0; i < WAVE; i++)
            wave[i] = new_object();
        for (int i = 0; i < WAVE; i++)
            tm_free(wave[i]);
        (void)usleep(1000);
    }
    return unused;
}

int main(void)
{
    static tm_handle_t object[OBJECTS];
    pthread_t t;
    for (int i = 0; i < OBJECTS; i++)
        object[i] = new_object();
    for (int i = 0; i < OBJECTS; i += ONE_IN)
        tm_free(object[i]);
    if (pthread_create(&t, NULL, work, NULL) != 0)
        return 1;
    puts("ready");
    (void)fflush(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
