/* Blocks and objects that grow and shrink at random up to 3 MB, beside others, and stay whole: pages are moved by
 * mremap, whose rules differ between kernels. */
#include "../handles/objects.h"

enum { BLOCKS = 24, LARGEST = 3000000 };

static uint64_t seed = 7;

static size_t some_size(void)
{
    size_t limit = (size_t)100 << random_below(&seed, 16);
    return 1 + random_below(&seed, limit < LARGEST ? limit : LARGEST);
}

/* A few words of each page tell whose it is. */
static void sign(char *p, size_t size, uint64_t mark)
{
    for (size_t i = 0; i + 8 <= size; i += 1024) {
        uint64_t w = mixed(mark + i);
        memcpy(p + i, &w, 8);
    }
}

static bool signed_by(const char *p, size_t size, uint64_t mark)
{
    for (size_t i = 0; i + 8 <= size; i += 1024) {
        uint64_t w = mixed(mark + i);
        if (memcmp(p + i, &w, 8) != 0)
            return false;
    }
    return true;
}

static bool blocks(int steps)
{
    static char *p[BLOCKS];
    static size_t size[BLOCKS];
    for (int s = 0; s < steps; s++) {
        size_t i = random_below(&seed, BLOCKS), before = size[i];
        size[i] = some_size();
        p[i] = (char *)realloc(p[i], size[i]);
        if (p[i] == NULL || !signed_by(p[i], before < size[i] ? before : size[i], i))
            return false;
        sign(p[i], size[i], i);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(p[i]);
    return true;
}

static bool one_that_grows(void)
{
    char *p = NULL;
    size_t size = 0;
    while (size < 64 << 20) {
        size_t more = size + 100000 + size / 8;
        p = (char *)realloc(p, more);
        if (p == NULL || !signed_by(p, size, 99))
            return false;
        sign(p, more, 99);
        size = more;
    }
    free(p);
    return true;
}

static bool objects(int steps)
{
    static tm_handle_t h[BLOCKS];
    static size_t size[BLOCKS];
    bool good = true;
    for (int s = 0; s < steps && good; s++) {
        size_t i = random_below(&seed, BLOCKS), before = size[i];
        size[i] = some_size();
        tm_handle_t grown = h[i] == TM_NULL ? tm_alloc(size[i]) : tm_realloc(h[i], size[i]);
        if (grown == TM_NULL || (h[i] != TM_NULL && grown != h[i]))
            return false;
        h[i] = grown;
        TM_PINNED(char, p, h[i])
        {
            good = signed_by(p, before < size[i] ? before : size[i], i);
            sign(p, size[i], i);
        }
        if (s % 200 == 0)
            (void)tm_compact();
    }
    for (size_t i = 0; i < BLOCKS; i++)
        tm_free(h[i]);
    return good;
}

/* In the guest's group with little memory: what was freed must make room for what is asked for next, phase after
 * phase. */
static bool phases(size_t mib)
{
    enum { N = 256 };
    static char *p[N];
    for (int phase = 0; phase < 6; phase++) {
        size_t size = (mib << 20) / N * 6 / 10 + (size_t)phase * 4096;
        for (int i = 0; i < N; i++) {
            p[i] = (char *)malloc(size);
            if (p[i] == NULL)
                return false;
            memset(p[i], i, size);
        }
        for (int i = 0; i < N; i++) {
            if (!all_bytes(p[i], (char)i, size))
                return false;
            free(p[i]);
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        tap(phases((size_t)atoi(argv[1])), "six phases in %s MiB", argv[1]);
        return tap_done();
    }
    tap(blocks(2500), "blocks keep their contents over reallocs");
    tap(one_that_grows(), "a block grows to 64 MiB");
    tap(objects(2500), "objects do over tm_reallocs");
    return tap_done();
}
