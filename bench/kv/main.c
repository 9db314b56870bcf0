/* main.c - kv: an in-memory cache server that speaks RESP, for measuring the store below it. See bench/README.md. */
#include "commands.h"
#include "evict.h"
#include "hash.h"
#include "net.h"
#include "renew.h"
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

struct server server = {.maxmemory_clients = (uint64_t)1 << 30, .samples = 5, .maxclients = 10000, .stall = 60,
                        .policy = NO_EVICTION};

static int usage(void)
{
    fputs("usage: kv-" STORE_NAME " [--bind ADDRESS] [--port PORT] [--stall SECONDS]\n"
          "                    [--snapshot FILE] [--SETTING VALUE]...\n"
          "  --snapshot FILE is loaded if it is there, and written by SAVE and BGSAVE.\n"
          "  --port 0 takes any free port; the line on stdout says which. Settings: maxmemory, maxmemory-policy,\n"
          "  maxmemory-samples, maxmemory-clients, timeout, maxclients. All but the last may be\n"
          "  changed later by CONFIG SET.\n",
          stderr);
    return 2;
}

/* A descriptor for each client, and fewer clients where the system has fewer. */
static void descriptors(void)
{
    enum { OWN = 32 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < server.maxclients + OWN) {
        rlim_t want = server.maxclients + OWN;
        limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < server.maxclients + OWN)
        server.maxclients = limit.rlim_cur > 2 * OWN ? (unsigned)limit.rlim_cur - OWN : OWN;
}

static void prepare(void)
{
    struct timespec t;
    hash_seed();
    commands_init();
    renew_prepare();
    descriptors();
    clock_gettime(CLOCK_REALTIME, &t);
    server.now = server.started = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1";
    int64_t port = 6380, stall = server.stall;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value == NULL || strncmp(name, "--", 2) != 0)
            return usage();
        if (strcmp(name, "--bind") == 0)
            address = value;
        else if (strcmp(name, "--snapshot") == 0 && strlen(value) < 4096 && value[0] != 0)
            server.snapshot = value;
        else if (strcmp(name, "--port") == 0 ? !resp_integer(value, strlen(value), &port) || port < 0 || port > 65535
                 : strcmp(name, "--stall") == 0
                     ? !resp_integer(value, strlen(value), &stall) || stall < 1 || stall > 1000000
                     : !server_configure(name + 2, value))
            return usage();
    }
    server.stall = (unsigned)stall;
    prepare();
    if (server.snapshot != NULL && !snapshot_load())
        return 1;
    if (!net_listen(address, (int)port)) {
        fprintf(stderr, "kv: cannot listen on %s, port %d: %s\n", address, (int)port, strerror(errno));
        return 1;
    }
    printf("kv-" STORE_NAME ": ready on %s:%d\n", address, server.port);
    fflush(stdout);
    if (!net_serve()) {
        perror("kv");
        return 1;
    }
#ifdef __SANITIZE_ADDRESS__
    evict_everything(); // references in entries are not aligned: LeakSanitizer does not see them
#endif
    return 0;
}
