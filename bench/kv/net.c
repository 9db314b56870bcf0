#define _GNU_SOURCE
#include "net.h"
#include "evict.h"
#include "hash.h"
#include "renew.h"
#include "search.h"
#include "snapshot.h"
#include "watch.h"
#include "work.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SHARED = 64 * 1024,         /* bytes that one read takes */
    OUTPUT_PAUSE = 1024 * 1024, /* bytes of replies after which a batch is sent first */
    OUTPUT_STEP = 256 * 1024,   /* bytes that one client is sent at a time */
    EVENTS = 128,
    AHEAD = 16,         /* requests parsed before the first of them runs */
    EXPECT_KEYS = 4096, /* keys of a database below which caches have them anyway */
    TICK_MS = 100,
    RETURN_MS = 4, RETURN_FOR_MS = 5000, /* how often, and how long, memory is given back after much has been freed */
    RETURN_BYTES = 1024 * 1024,
};

struct client {
    struct session session;
    struct client *next, **link, *next_searching;
    int fd;
    uint32_t events;          /* that are waited for */
    bool waits_to_send, gone; /* gone: closed in this round of events, freed at its end */
    int64_t active;           /* when it last sent or took something */
    struct resp resp;
    char *bytes; /* the beginning of a request */
    size_t len, room;
};

static size_t unfinished; // bytes of requests that have not arrived whole, of all clients
static struct client *all, *gone, *searching; // the last: a ring, of which this one had its turn last
static int poller = -1, listener = -1, signals = -1;
static char shared[SHARED];

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool net_listen(const char *address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof at;
    int on = 1;
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
        errno = EINVAL;
        return false;
    }
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 511) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0)
        return false;
    server.port = ntohs(at.sin_port);
    return true;
}

static bool watch(int op, int fd, uint32_t events, void *data)
{
    struct epoll_event e = {.events = events, .data.ptr = data};
    return epoll_ctl(poller, op, fd, &e) == 0;
}

/* Searches take turns. */
static void join_ring(struct client *c)
{
    c->next_searching = searching == NULL ? c : searching->next_searching;
    if (searching != NULL)
        searching->next_searching = c;
    searching = c;
}

static void leave_ring(struct client *c)
{
    struct client *before = c;
    while (before->next_searching != c)
        before = before->next_searching;
    before->next_searching = c->next_searching;
    searching = before == c ? NULL : before;
}

static void drop(struct client *c)
{
    if (c->gone)
        return;
    c->gone = true;
    if (c->session.search != NULL)
        leave_ring(c);
    search_free(&c->session);
    watch_clear(&c->session);
    close(c->fd);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    c->next = gone;
    gone = c;
    server.clients--;
    unfinished -= c->len;
    free(c->bytes);
    resp_free(&c->resp);
    reply_free(&c->session.out);
    transaction_free(&c->session.transaction);
}

static void free_gone(void)
{
    while (gone != NULL) {
        struct client *c = gone;
        gone = c->next;
        free(c);
    }
}

static void refuse(int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    server.rejected++;
    (void)!write(fd, text, sizeof text - 1);
    close(fd);
}

static void welcome(void)
{
    int on = 1;
    for (int i = 0; i < EVENTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct client *c = server.clients < server.maxclients ? calloc(1, sizeof *c) : NULL;
        if (c == NULL || !watch(EPOLL_CTL_ADD, fd, EPOLLIN, c)) {
            free(c);
            refuse(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->fd = fd;
        c->events = EPOLLIN;
        c->session.id = ++server.next_id;
        c->active = server.now;
        c->next = all;
        c->link = &all;
        if (all != NULL)
            all->link = &c->next;
        all = c;
        server.clients++;
        server.connections++;
    }
}

/* Nothing is read from a client that does not take replies or has a search under way. */
static void watch_for(struct client *c)
{
    uint32_t events = c->waits_to_send ? EPOLLOUT : c->session.search != NULL ? 0 : EPOLLIN;
    if (events != c->events)
        (void)watch(EPOLL_CTL_MOD, c->fd, events, c);
    c->events = events;
}

/* Send what the socket takes, or a part of it. False: the client is gone. */
static bool send_out(struct client *c)
{
    struct reply *o = &c->session.out;
    const char *bytes;
    size_t len, left = OUTPUT_STEP;
    while (left > 0 && reply_next(o, &bytes, &len)) {
        ssize_t n = send(c->fd, bytes, len < left ? len : left, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            drop(c);
            return false;
        }
        if (n < 0)
            break;
        reply_sent(o, (size_t)n);
        left -= (size_t)n;
        c->active = server.now;
    }
    c->waits_to_send = reply_next(o, &bytes, &len);
    if ((!c->waits_to_send && c->session.close) || o->broken) {
        drop(c);
        return false;
    }
    watch_for(c);
    return true;
}

/* Requests that have been parsed and not run yet; used within execute alone. */
static struct resp ahead[AHEAD];
static size_t starts[AHEAD];
static uint64_t hashes[AHEAD]; // of argument 1, where expect has been asked

static void swap_resp(struct resp *a, struct resp *b)
{
    struct resp t = *a;
    *a = *b;
    *b = t;
}

/* Parse up to AHEAD requests from `at` on. Returns how many are whole. What a request that is not whole has come to
 * stays in c->resp if it is the first, and is forgotten otherwise. */
static unsigned parse_ahead(struct client *c, const char *bytes, size_t at, size_t len, enum resp_status *status)
{
    unsigned n = 0;
    swap_resp(&ahead[0], &c->resp);
    for (*status = RESP_DONE; n < AHEAD && at < len; n++) {
        *status = resp_parse(&ahead[n], bytes + at, len - at);
        if (*status != RESP_DONE)
            break;
        starts[n] = at;
        at += ahead[n].used;
    }
    if (n == 0)
        swap_resp(&ahead[0], &c->resp);
    else if (*status != RESP_DONE)
        resp_next(&ahead[n]);
    return n;
}

/* The processor fetches the entries of several keys at a time, instead of one after the other as commands ask. True:
 * the hashes are known. */
static bool expect(const struct table *db, const char *bytes, unsigned n)
{
    place *buckets[AHEAD];
    if (n < 2 || db->count < EXPECT_KEYS)
        return false;
    for (unsigned i = 0; i < n; i++) {
        buckets[i] = NULL;
        if (ahead[i].argc > 1) {
            const struct slice *key = &ahead[i].argv[1];
            hashes[i] = hash_bytes(bytes + starts[i] + key->at, key->len);
            buckets[i] = table_expect_bucket(db, hashes[i]);
        }
    }
    for (unsigned i = 0; i < n; i++)
        table_expect_entry(buckets[i]);
    return true;
}

static bool goes_on(const struct session *s)
{
    return !s->close && !s->out.broken && s->out.len < OUTPUT_PAUSE &&
           s->out.pieces == NULL && s->search == NULL;
}

/* Execute what has arrived whole, until replies pile up. Returns how many bytes that was. */
static size_t execute(struct client *c, const char *bytes, size_t len)
{
    struct session *s = &c->session;
    size_t done = 0;
    store_begin();
    while (done < len && goes_on(s)) {
        enum resp_status status;
        unsigned n = parse_ahead(c, bytes, done, len, &status);
        if (n == 0 && status == RESP_ERROR) {
            reply_error(&s->out, "ERR %s", c->resp.error);
            s->close = true;
        }
        if (n == 0)
            break;
        bool hashed = expect(&server.db[s->db], bytes, n);
        for (unsigned i = 0; i < n; i++) {
            if (goes_on(s)) {
                if (ahead[i].argc > 0)
                    command_run(s, bytes + starts[i], ahead[i].argv, ahead[i].argc,
                                hashed && ahead[i].argc > 1 ? &hashes[i] : NULL);
                done = starts[i] + ahead[i].used;
            }
            resp_next(&ahead[i]);
        }
    }
    store_end();
    if (s->search != NULL)
        join_ring(c);
    return done;
}

/* Keep len bytes in the client's own buffer. False: no memory, or all clients together keep too much. */
static bool keep(struct client *c, const char *bytes, size_t len)
{
    if (server.maxmemory_clients > 0 && unfinished + len > server.maxmemory_clients)
        return false;
    if (c->len + len > c->room) {
        size_t room = c->room == 0 ? 512 : c->room;
        while (room < c->len + len)
            room *= 2;
        char *grown = realloc(c->bytes, room);
        if (grown == NULL)
            return false;
        c->bytes = grown;
        c->room = room;
    }
    memcpy(c->bytes + c->len, bytes, len);
    c->len += len;
    unfinished += len;
    return true;
}

/* Execute from the client's own buffer, send, and go on while that makes progress. */
static void go_on(struct client *c)
{
    for (;;) {
        bool paused = !goes_on(&c->session); // then nothing is executed before it is sent
        size_t done = c->len == 0 ? 0 : execute(c, c->bytes, c->len);
        c->len -= done;
        unfinished -= done;
        if (c->len == 0) {
            free(c->bytes);
            c->bytes = NULL;
            c->room = 0;
        } else if (done > 0) {
            memmove(c->bytes, c->bytes + done, c->len);
        }
        if (!send_out(c) || c->waits_to_send || c->session.search != NULL || (done == 0 && !paused))
            return;
    }
}

/* One step of the searches. */
static void search_on(void)
{
    struct client *c = searching == NULL ? NULL : searching->next_searching;
    if (c == NULL)
        return;
    searching = c;
    c->active = server.now;
    uint64_t before = work_done;
    store_begin();
    bool replied = search_step(&c->session);
    store_end();
    work_note(&work_most.step, before);
    if (replied) {
        leave_ring(c);
        go_on(c);
    }
}

static void receive(struct client *c)
{
    ssize_t n = recv(c->fd, shared, sizeof shared, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(c);
        return;
    }
    if (n < 0)
        return;
    c->active = server.now;
    size_t done = c->len > 0 ? 0 : execute(c, shared, (size_t)n);
    if (!c->session.close && done < (size_t)n && !keep(c, shared + done, (size_t)n - done)) {
        drop(c);
        return;
    }
    go_on(c);
}

/* Close clients that have been silent for too long. */
static void time_out(void)
{
    for (struct client *c = all, *next; c != NULL; c = next) {
        int64_t silent = server.now - c->active;
        next = c->next;
        bool stalls = c->len > 0 || c->waits_to_send;
        if ((stalls && silent > (int64_t)server.stall * 1000) ||
            (server.timeout > 0 && silent > (int64_t)server.timeout * 1000))
            drop(c);
    }
}

static bool begin(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    poller = epoll_create1(EPOLL_CLOEXEC);
    return signals >= 0 && poller >= 0 && watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listener) &&
           watch(EPOLL_CTL_ADD, signals, EPOLLIN, &signals);
}

static void handle(const struct epoll_event *e)
{
    struct client *c = e->data.ptr;
    if (e->data.ptr == &listener)
        welcome();
    else if (e->data.ptr == &signals)
        server.stop = true;
    else if (c->gone)
        return;
    else if (e->events & EPOLLOUT) {
        if (send_out(c) && !c->waits_to_send)
            go_on(c);
    } else {
        receive(c);
    }
}

/* Milliseconds to wait for clients while nothing else is to do: the store gives memory back a little at a time. */
static int wait_ms(void)
{
    static uint64_t used_before;
    static int64_t until, seen;
    if (server.now - seen >= TICK_MS) {
        uint64_t used = server_used();
        if (used + RETURN_BYTES < used_before)
            until = server.now + RETURN_FOR_MS;
        used_before = used;
        seen = server.now;
    }
    return server.now < until ? RETURN_MS : TICK_MS;
}

static bool measured(bool (*step)(void))
{
    uint64_t before = work_done;
    bool more = step();
    work_note(&work_most.step, before);
    return more;
}

/* What the server has to do besides serving: freeing, expiry, a snapshot, other handles. */
static struct {
    bool frees, renews;
    int64_t ticked, renewed;
} work;

static void work_on(bool idle)
{
    if (server.now - work.ticked >= TICK_MS) {
        work.ticked = server.now;
        time_out();
        work.frees = true;
    }
    search_on();
    free_gone();
    bool may_renew = idle || server.now != work.renewed; // beside requests a step a millisecond
    if (!work.frees && !may_renew && !server.saving)
        return;
    store_begin();
    if (may_renew)
        work.renews = measured(renew_step);
    if (work.frees)
        work.frees = measured(evict_step);
    if (server.saving)
        work.frees |= measured(snapshot_step);
    store_end();
    work.renewed = server.now;
}

bool net_serve(void)
{
    struct epoll_event events[EVENTS];
    bool idle = false;
    if (!begin())
        return false;
    while (!server.stop) {
        if (!work.frees)
            store_idle();
        bool now = work.frees || searching != NULL || (work.renews && idle);
        int n = epoll_wait(poller, events, EVENTS, now ? 0 : work.renews || server.saving ? 1 : wait_ms());
        idle = n <= 0;
        server.now = clock_ms();
        for (int i = 0; i < n && !server.stop; i++)
            handle(&events[i]);
        work_on(idle);
    }
    store_begin();
    snapshot_cancel();
    store_end();
    renew_end();
    while (all != NULL)
        drop(all);
    free_gone();
    close(listener);
    return true;
}
