#define _GNU_SOURCE
#include "snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, BUSY = 16 }; // bytes, a multiple of 8; buffers

struct buffer {
    struct buffer *next;
    size_t len;
    char bytes[BUFFER];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    pthread_t thread;
    struct buffer *first, **last; /* the queue */
    unsigned queued;
    bool ended, good; /* what snapshot_file_end has said; !good before that: FAILING */
    bool over;        /* the thread has nothing more to do */
    bool running;     /* the server's: there is a thread */
    struct buffer *filling; /* the server's */
    int fd; /* the thread's */
    char path[4096], tmp[4096 + 8];
} f = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER, .last = &f.first};

uint64_t snapshot_sum(uint64_t sum, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        uint64_t word = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&word, p, n);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
        p += n;
        len -= n;
    }
    return sum;
}

/* ---- the thread ---- */

static bool write_out(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(f.fd, bytes, len);
        if (n < 0 && errno != EINTR) {
            fprintf(stderr, "kv: cannot write %s: %s\n", f.tmp, strerror(errno));
            return false;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The next buffer, NULL at the end. */
static struct buffer *take(bool *good)
{
    pthread_mutex_lock(&f.lock);
    while (f.first == NULL && !f.ended)
        pthread_cond_wait(&f.change, &f.lock);
    struct buffer *b = f.first;
    if (b != NULL && (f.first = b->next) == NULL)
        f.last = &f.first;
    f.queued -= b != NULL;
    f.good = f.good && *good;
    *good = f.good;
    pthread_mutex_unlock(&f.lock);
    return b;
}

static bool keep(uint64_t sum)
{
    if (!write_out((const char *)&sum, sizeof sum))
        return false;
    if (fsync(f.fd) == 0 && rename(f.tmp, f.path) == 0)
        return true;
    fprintf(stderr, "kv: cannot keep %s: %s\n", f.tmp, strerror(errno));
    return false;
}

static void *write_file(void *unused)
{
    uint64_t sum = 0;
    bool good = true;
    (void)unused;
    for (struct buffer *b; (b = take(&good)) != NULL; free(b)) {
        sum = snapshot_sum(sum, b->bytes, b->len);
        good = good && write_out(b->bytes, b->len);
    }
    good = good && keep(sum);
    close(f.fd);
    if (!good)
        unlink(f.tmp);
    pthread_mutex_lock(&f.lock);
    f.good = good;
    f.over = true;
    pthread_cond_broadcast(&f.change);
    pthread_mutex_unlock(&f.lock);
    return NULL;
}

static void fail(void)
{
    pthread_mutex_lock(&f.lock);
    f.good = false;
    pthread_mutex_unlock(&f.lock);
}

/* ---- the server ---- */

const char *snapshot_file_begin(const char *path)
{
    snprintf(f.path, sizeof f.path, "%s", path);
    snprintf(f.tmp, sizeof f.tmp, "%s.tmp", path);
    f.fd = open(f.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f.fd < 0)
        return strerror(errno);
    f.ended = f.over = false;
    f.good = true;
    f.running = pthread_create(&f.thread, NULL, write_file, NULL) == 0;
    if (f.running)
        return NULL;
    close(f.fd);
    unlink(f.tmp);
    return "no thread";
}

static void queue(void)
{
    struct buffer *b = f.filling;
    f.filling = NULL;
    if (b == NULL)
        return;
    pthread_mutex_lock(&f.lock);
    *f.last = b;
    f.last = &b->next;
    f.queued++;
    pthread_cond_broadcast(&f.change);
    pthread_mutex_unlock(&f.lock);
}

void snapshot_file_put(const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        if (f.filling == NULL) {
            f.filling = malloc(sizeof *f.filling);
            if (f.filling == NULL) {
                fprintf(stderr, "kv: no memory to write %s\n", f.tmp);
                fail();
                return;
            }
            f.filling->next = NULL;
            f.filling->len = 0;
        }
        struct buffer *b = f.filling;
        size_t n = len < BUFFER - b->len ? len : BUFFER - b->len;
        memcpy(b->bytes + b->len, p, n);
        b->len += n;
        p += n;
        len -= n;
        if (b->len == BUFFER)
            queue();
    }
}

bool snapshot_file_is_busy(void)
{
    pthread_mutex_lock(&f.lock);
    bool busy = f.queued >= BUSY;
    pthread_mutex_unlock(&f.lock);
    return busy;
}

void snapshot_file_end(bool good)
{
    queue();
    pthread_mutex_lock(&f.lock);
    f.good = f.good && good;
    f.ended = true;
    pthread_cond_broadcast(&f.change);
    pthread_mutex_unlock(&f.lock);
}

enum file_state snapshot_file_state(bool wait)
{
    if (!f.running)
        return FILE_NONE;
    pthread_mutex_lock(&f.lock);
    while (wait && !f.over)
        pthread_cond_wait(&f.change, &f.lock);
    bool over = f.over, good = f.good;
    pthread_mutex_unlock(&f.lock);
    if (!over)
        return good ? FILE_WRITING : FILE_FAILING;
    pthread_join(f.thread, NULL);
    f.running = false;
    return good ? FILE_WRITTEN : FILE_FAILED;
}
