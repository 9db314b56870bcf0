/* net.h - connections: one thread, one epoll.
 *
 * Idea: what a client has sent is read into a buffer that all share, and executed from there as one batch; only the
 * rest of a request that has not arrived whole is kept, in a buffer of the client's own. So an idle client costs its
 * record and nothing else.
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
