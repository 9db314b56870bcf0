/* The pool, over a buffer of the program's. */
#include <stdio.h>
#include <string.h>
#include <tinymem/tinymem_pool.h>

static unsigned char buffer[4096] TM_POOL_BUFFER;

int main(void)
{
    tm_pool_t *pool = (tm_pool_t *)buffer;
    tm_pool_config_t config = {0};
    config.handles = 20;
    if (tm_pool_init(buffer, sizeof buffer, &config) != TM_POOL_OK)
        return 1;
    tm_pool_handle_t h = tm_pool_alloc(pool, 10);
    strcpy(tm_pool_ptr(pool, h), "serves");
    printf("pool %s\n", (char *)tm_pool_ptr(pool, h));
    return 0;
}
