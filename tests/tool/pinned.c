/* pinned - a program with pinned and locked objects, a shelf, and a heap that huge pages may back. It says how many
 * objects are kept in place, and waits for the end of its input. */
#include <tinymem/tinymem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 5000, PINNED = 7, LOCKED = 5, BLOCKS = 200000, SIZE = 480 };

int main(void)
{
    static tm_handle_t object[OBJECTS];
    static char *block[BLOCKS];
    for (int i = 0; i < OBJECTS; i++)
        object[i] = tm_alloc(16 + (size_t)i % 300);
    tm_handle_t large = tm_alloc(1 << 20);
    for (int i = 0; i < PINNED; i++) {
        (void)tm_pin(object[i * 100]);
        (void)tm_pin(object[i * 100]); // twice is one object
    }
    for (int i = 0; i < LOCKED; i++)
        (void)tm_lock(object[i * 100 + 50]);
    (void)tm_lock(large);
    for (int i = 0; i < BLOCKS; i++)
        block[i] = memset(malloc(SIZE), 1, SIZE);
    free(malloc(40000)); // lies on the shelf
    tm_scope_enter();
    printf("%d\n", PINNED + LOCKED + 1);
    (void)fflush(stdout);
    int c;
    do
        c = getchar();
    while (c != EOF);
    return block[0] == NULL;
}
