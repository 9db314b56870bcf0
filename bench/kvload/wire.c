#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t wire_errors;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

void wire_open(struct wire *w, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail("connect");
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void append(struct wire *w, const char *bytes, size_t len)
{
    if (w->out_len + len > w->out_room) {
        w->out_room = 2 * (w->out_len + len);
        w->out = realloc(w->out, w->out_room);
        if (w->out == NULL)
            fail("realloc");
    }
    memcpy(w->out + w->out_len, bytes, len);
    w->out_len += len;
}

void wire_send(struct wire *w, const struct word *words, unsigned n)
{
    char text[32];
    append(w, text, (size_t)snprintf(text, sizeof text, "*%u\r\n", n));
    for (unsigned i = 0; i < n; i++) {
        append(w, text, (size_t)snprintf(text, sizeof text, "$%zu\r\n", words[i].len));
        append(w, words[i].bytes, words[i].len);
        append(w, "\r\n", 2);
    }
    w->waiting++;
}

void wire_flush(struct wire *w)
{
    for (size_t sent = 0; sent < w->out_len;) {
        ssize_t k = write(w->fd, w->out + sent, w->out_len - sent);
        if (k < 0 && errno != EINTR)
            fail("write");
        sent += k > 0 ? (size_t)k : 0;
    }
    w->out_len = 0;
}

static void more(struct wire *w)
{
    memmove(w->in, w->in + w->in_at, w->in_len - w->in_at);
    w->in_len -= w->in_at;
    w->in_at = 0;
    ssize_t k = read(w->fd, w->in + w->in_len, sizeof w->in - w->in_len);
    if (k == 0 || (k < 0 && errno != EINTR))
        fail("the server closed the connection");
    w->in_len += k > 0 ? (size_t)k : 0;
}

/* One reply: a line, and the bytes that a bulk has. */
static int64_t reply(struct wire *w)
{
    char *end;
    while ((end = memchr(w->in + w->in_at, '\n', w->in_len - w->in_at)) == NULL)
        more(w);
    char kind = w->in[w->in_at];
    int64_t value = atoll(w->in + w->in_at + 1);
    w->in_at = (size_t)(end + 1 - w->in);
    wire_errors += kind == '-';
    if (kind == '$' && value >= 0) {
        while (w->in_len - w->in_at < (size_t)value + 2)
            more(w);
        w->in_at += (size_t)value + 2;
    }
    return value;
}

int64_t wire_finish(struct wire *w)
{
    int64_t last = 0;
    wire_flush(w);
    for (; w->waiting > 0; w->waiting--)
        last = reply(w);
    return last;
}

void histogram_add(struct histogram *h, double seconds)
{
    double us = seconds * 1e6;
    int bucket = us <= 1 ? 0 : (int)(log(us) / log(1.05)) + 1;
    h->buckets[bucket < 511 ? bucket : 511]++;
    h->count++;
    h->max = seconds > h->max ? seconds : h->max;
}

double histogram_at(const struct histogram *h, double part)
{
    uint64_t below = 0;
    for (int i = 0; i < 512; i++) {
        below += h->buckets[i];
        if ((double)below >= part * (double)h->count)
            return pow(1.05, i) * 1e-6;
    }
    return h->max;
}

double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double cpu_seconds(int pid)
{
    char path[64], text[1024] = "";
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    if (f != NULL)
        fclose(f);
    text[n] = 0;
    char *end = strrchr(text, ')');
    if (end == NULL || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        fail("the server is gone");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double resident_mib(int pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        fail("the server is gone");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}
