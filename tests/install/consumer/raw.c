/* Is malloc tinymem's? Prints the library's version and whether the program's own call was counted. */
#include <stdio.h>
#include <stdlib.h>
#include <tinymem/heap.h>
#include <tinymem/tinymem.h>

int main(void)
{
    tm_heap_stats_t before = {.struct_size = sizeof before}, after = before;
    tm_heap_stats(&before);
    void *p = malloc(50 << 20);
    tm_heap_stats(&after);
    printf("%s %s\n", tm_version(), after.raw.live - before.raw.live >= 50 << 20 ? "serves" : "does not serve");
    free(p);
    return p == NULL;
}
