/* net.h - connections: one thread, one epoll.
 *
 * Idea: what a client has sent is read into a buffer that all share, and executed from there as one batch; only the
 * rest of a request that has not arrived whole is kept, in a buffer of the client's own. So an idle client costs its
 * record and nothing else. Of a pipeline some requests are parsed before the first of them runs, and what their keys
 * lead to is prefetched: a request then costs a third less processor time where tables are larger than caches, in
 * kv-handles half (1,000,000 keys, 16 requests in a batch: 1.3 to 0.87 us, 1.75 to 0.9).
 *
 * All clients together may have sent maxmemory-clients bytes of requests that are not whole; a client that sends more
 * is closed.
 *
 * A client that does not take its replies is not served further: what waits for it is bounded by OUTPUT_PAUSE and one
 * reply. A client that stalls in the middle of a request, or of its replies, is closed after `stall` seconds, an idle
 * one after `timeout`. The batch of the store is closed before anything is sent. */
#ifndef KV_NET_H
#define KV_NET_H

#include <stdbool.h>

/* Listen on an IPv4 address. Port 0: any free one; server.port says which. False: errno says why. */
bool net_listen(const char *address, int port);

/* Serve until server.stop, SIGTERM or SIGINT. False: the kernel gives no epoll or signalfd. */
bool net_serve(void);

#endif
