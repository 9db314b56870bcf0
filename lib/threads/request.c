#include "threads/request.h"
#include "os/lock.h"
#include "os/os.h"

#include <errno.h>

uint32_t tmi_requests;
extern uint32_t tm_requests_ __attribute__((alias("tmi_requests"), visibility("default")));

tmi_request_client_t tmi_request_clients[TMI_REQUESTS];
uint32_t tmi_request_serving;
static uint32_t times[TMI_REQUESTS]; // served so far

/* One of the four bytes: low address first, as a tool outside sees them. */
static uint8_t *byte_of(unsigned which) { return (uint8_t *)&tmi_requests + which; }

void tmi_request_handle(tmi_request_t which, void (*handler)(void))
{
    tmi_store_release(&tmi_request_clients[which].handler, handler); // its data before it; pairs: serve
}

void tmi_request_show(tmi_request_t which, const void *records)
{
    tmi_store_release(&tmi_request_clients[which].records, records); // the records before it; pairs: tools outside
}

void tmi_request_post(tmi_request_t which) { tmi_store_release(byte_of(which), (uint8_t)1); } // pairs: serve

void tmi_request_every(tmi_request_t which, uint32_t ms)
{
    tmi_store_relaxed(&tmi_request_clients[which].due, tmi_os_now_ms() + ms); // relaxed: it paces
    tmi_store_relaxed(&tmi_request_clients[which].every, ms);
    if (ms > 0)
        tmi_request_post(TMI_REQUEST_CLOCK);
}

/* The next time counts from now, so missed times are skipped. If several threads find a request due, one of them posts
 * it. */
static void look_at_the_clock(uint32_t now)
{
    for (unsigned which = 0; which < TMI_REQUEST_CLOCK; which++) {
        tmi_request_client_t *c = &tmi_request_clients[which];
        uint32_t every = tmi_load_relaxed(&c->every), due = tmi_load_relaxed(&c->due); // relaxed: they pace
        if (every != 0 && (int32_t)(now - due) >= 0 && tmi_cas_relaxed(&c->due, &due, now + every))
            tmi_request_post((tmi_request_t)which);
    }
}

static bool any_left(void)
{
    for (unsigned which = 0; which < TMI_REQUEST_CLOCK; which++)
        if (tmi_load_relaxed(byte_of(which)) != 0) // relaxed: seen late, it is served late
            return true;
    return false;
}

static void on_signal(int number)
{
    int before = errno;
    for (unsigned which = 0; which < TMI_REQUEST_CLOCK; which++) {
        const tmi_request_client_t *c = &tmi_request_clients[which];
        if (tmi_load_acquire(&c->signal) != number) // pairs: tmi_request_on_signal
            continue;
        if (c->at_once != NULL)
            c->at_once();
        else
            tmi_request_post((tmi_request_t)which);
    }
    errno = before;
}

static bool is_ours(int number)
{
    for (unsigned which = 0; which < TMI_REQUEST_CLOCK; which++)
        if (tmi_load_relaxed(&tmi_request_clients[which].signal) == number) // relaxed: written by this thread
            return true;
    return false;
}

int tmi_request_on_signal(tmi_request_t which, int number, void (*at_once)(void))
{
    int err = number <= 0 ? EINVAL : is_ours(number) ? 0 : tmi_os_on_signal(number, on_signal);
    if (err != 0)
        return err;
    tmi_request_clients[which].at_once = at_once;
    tmi_store_release(&tmi_request_clients[which].signal, number); // pairs: on_signal
    return 0;
}

static void serve(unsigned which)
{
    if (tmi_load_relaxed(byte_of(which)) == 0 || tmi_exchange_acq_rel(byte_of(which), (uint8_t)0) == 0)
        return;
    void (*handler)(void) = tmi_load_acquire(&tmi_request_clients[which].handler);
    if (handler != NULL)
        handler();
    (void)tmi_add_relaxed(&times[which], 1); // relaxed: only a count for its readers
}

uint32_t tmi_request_times(tmi_request_t which) { return tmi_load_relaxed(&times[which]); } // relaxed: see serve

/* Between the handlers of fork the forking thread holds every lock. Its allocations there must not serve requests. */
void tmi_request_serve(void)
{
    uint32_t nobody = 0;
    int before = errno;
    if (tmi_load_relaxed(byte_of(TMI_REQUEST_CLOCK)) != 0)
        look_at_the_clock(tmi_os_now_ms());
    // acquire: pairs with the release below
    if (!any_left() || tmi_lock_forking_here() || !tmi_cas_acquire(&tmi_request_serving, &nobody, 1))
        return;
    for (unsigned which = 0; which < TMI_REQUEST_CLOCK; which++)
        serve(which);
    tmi_store_release(&tmi_request_serving, 0);
    errno = before;
}

void tmi_request_after_fork(void)
{
    for (unsigned which = 0; which < TMI_REQUEST_CLOCK; which++)
        tmi_store_relaxed(byte_of(which), (uint8_t)0); // relaxed: the child has one thread
    tmi_store_relaxed(&tmi_request_serving, 0);
}
