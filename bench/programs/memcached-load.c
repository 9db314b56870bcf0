/* memcached-load.c - the client that drives memcached: the same requests every time, pipelined.
 *
 * Idea: requests go out in batches and all answers of a batch are read before the next, over one connection in each
 * of two threads. The keys of the threads are disjoint. The client is not under the allocator that is measured.
 *
 * usage: memcached-load PORT THOUSANDS_OF_REQUESTS */
#include "kit.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, KEYS = 100000, LARGEST = 1400, CLIENTS = 2 };

typedef struct {
    int fd, id;
    long requests;
    rng_t rng;
    char out[BATCH * (LARGEST + 128)];
    char in[1 << 16];
    size_t unread; /* bytes of an unfinished line at the start of in */
} client_t;

static char payload[LARGEST + 2];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = write(fd, p, n);
        if (sent <= 0)
            fail("write");
        p += sent;
        n -= (size_t)sent;
    }
}

/* Lines that end an answer; value lines and "VALUE …" headers belong to a get and do not count. */
static int ends_answer(const char *line, size_t n)
{
    return (n == 3 && !memcmp(line, "END", 3)) || (n == 6 && !memcmp(line, "STORED", 6)) ||
           (n == 7 && !memcmp(line, "DELETED", 7)) || (n == 9 && !memcmp(line, "NOT_FOUND", 9)) ||
           (n == 10 && !memcmp(line, "NOT_STORED", 10));
}

static int scan_lines(client_t *c, size_t filled)
{
    int answers = 0;
    char *line = c->in, *end = c->in + filled, *eol;
    while ((eol = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        size_t n = (size_t)(eol - line) - (eol > line && eol[-1] == '\r');
        answers += ends_answer(line, n);
        if (n > 5 && (!memcmp(line, "ERROR", 5) || !memcmp(line, "SERVE", 5) || !memcmp(line, "CLIEN", 5))) {
            fprintf(stderr, "memcached said: %.*s\n", (int)n, line);
            exit(1);
        }
        line = eol + 1;
    }
    c->unread = (size_t)(end - line);
    memmove(c->in, line, c->unread);
    return answers;
}

static void read_answers(client_t *c, int wanted)
{
    while (wanted > 0) {
        ssize_t got = read(c->fd, c->in + c->unread, sizeof c->in - c->unread);
        if (got <= 0)
            fail("read");
        wanted -= scan_lines(c, c->unread + (size_t)got);
    }
}

static int compose(client_t *c, char *out)
{
    uint32_t key = rng_below(&c->rng, KEYS), luck = rng_below(&c->rng, 100);
    if (luck < 55)
        return sprintf(out, "get k%d-%u\r\n", c->id, key);
    if (luck < 60)
        return sprintf(out, "delete k%d-%u\r\n", c->id, key);
    uint32_t size = luck < 65 ? 16 : (uint32_t)rng_log_size(&c->rng, 5, 10);
    int n = sprintf(out, "%s k%d-%u 0 0 %u\r\n", luck < 65 ? "append" : "set", c->id, key, size);
    memcpy(out + n, payload, size);
    memcpy(out + n + size, "\r\n", 2);
    return n + (int)size + 2;
}

static void *drive(void *arg)
{
    client_t *c = arg;
    for (long done = 0; done < c->requests; done += BATCH) {
        size_t n = 0;
        for (int i = 0; i < BATCH; i++)
            n += (size_t)compose(c, c->out + n);
        send_all(c->fd, c->out, n);
        read_answers(c, BATCH);
    }
    close(c->fd);
    return NULL;
}

int main(int argc, char **argv)
{
    int port = (int)argument(argc, argv, 1, 11211);
    long requests = argument(argc, argv, 2, 100) * 1000;
    static client_t client[CLIENTS];
    pthread_t thread[CLIENTS];
    memset(payload, 'v', sizeof payload);
    for (int i = 0; i < CLIENTS; i++) {
        client[i].fd = connect_to(port);
        client[i].id = i;
        client[i].requests = requests / CLIENTS;
        client[i].rng.s = (uint64_t)i + 1;
        thread[i] = start_thread(drive, &client[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(thread[i], NULL);
    return 0;
}
