/* search.h - KEYS and SCAN, in steps.
 *
 * Idea: a search that takes longer than a step stays with its client. The server goes on with it between the requests
 * of others, and runs no further request of this client until it has replied. Keys that are there all the time are
 * found once; keys that come or go meanwhile may be found or not, as with SCAN. The reply is collected in pieces,
 * which are sent and freed one at a time: a reply of 300 MB is never copied as a whole. Within EXEC a search is not
 * cut.
 *
 * Fails: as replies do. */
#ifndef KV_SEARCH_H
#define KV_SEARCH_H

#include "server.h"

/* One bounded piece of work for the client's search, which is there. Within a batch of the store. True: it has been
 * replied, and session->search is NULL. */
bool search_step(struct session *session);

/* Forget a search, if there is one. */
void search_free(struct session *session);

#endif
