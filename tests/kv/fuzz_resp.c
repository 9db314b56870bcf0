/* The parser's property: however the bytes arrive, the requests are the same, and every argument lies in its
 * request. */
#include "resp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parse one request of at most len bytes as it arrives in steps of `step` bytes. */
static enum resp_status arrive(struct resp *r, const char *bytes, size_t len, size_t step)
{
    enum resp_status status = RESP_MORE;
    for (size_t have = step < len ? step : len;; have = len - have > step ? have + step : len) {
        char *copy = malloc(have + 1); // of just this size, for AddressSanitizer
        memcpy(copy, bytes, have);
#ifdef BROKEN_PARSER
        if (have < len)
            r->pos += r->in_array; // the control
#endif
        status = resp_parse(r, copy, have);
        free(copy);
        if (status != RESP_MORE || have == len)
            return status;
    }
}

static bool same(const struct resp *a, const struct resp *b)
{
    return a->argc == b->argc && a->used == b->used &&
           (a->argc == 0 || memcmp(a->argv, b->argv, a->argc * sizeof *a->argv) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t step = 1 + data[0] % 7;
    const char *bytes = (const char *)data + 1;
    struct resp whole = {0}, pieces = {0};
    for (size_t left = size - 1; left > 0;) {
        enum resp_status status = arrive(&whole, bytes, left, left);
        if (arrive(&pieces, bytes, left, step) != status || (status == RESP_DONE && !same(&whole, &pieces)))
            abort();
        if (status == RESP_ERROR && (whole.error[0] == 0 || strcmp(whole.error, pieces.error) != 0))
            abort();
        if (status != RESP_DONE)
            break;
        if (whole.used == 0 || whole.used > left)
            abort();
        for (uint32_t i = 0; i < whole.argc; i++) {
            if (whole.argv[i].at > whole.used || whole.argv[i].len > whole.used - whole.argv[i].at)
                abort();
        }
        bytes += whole.used;
        left -= whole.used;
        resp_next(&whole);
        resp_next(&pieces);
    }
    resp_free(&whole);
    resp_free(&pieces);
    return 0;
}
