/* The second stack of pins: a chain of pieces, made when a thread holds more pins than its record has slots. Pieces are
 * never freed. Their memory comes from tmi_meta_permanent, which takes no lock, since a signal handler may pin at any
 * instant. */
#include "os/meta.h"
#include "compaction/pin.h"

enum { PIECE_SLOTS = 511 };

typedef struct tm_more_pins_ {
    struct tm_more_pins_ *next;
    tm_handle_t slot[PIECE_SLOTS];
} piece_t;

/* The piece to which `link` leads. With `make` a missing piece is made. A handler on this thread may do so at the same
 * time; then the loser's piece is appended to the winner's. */
static piece_t *follow(piece_t **link, bool make)
{
    piece_t *p = tmi_load_acquire(link); // pairs: below
    if (p != NULL || !make)
        return p;
    piece_t *fresh = tmi_meta_permanent(sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    piece_t **end = link;
    for (piece_t *found = NULL; !tmi_cas_acq_rel(end, &found, fresh); found = NULL) // the mover reads what is linked
        end = &found->next;
    return tmi_load_relaxed(link); // this thread's own store
}

tm_handle_t *tmi_pin_more_slot(tm_pins_t_ *r, uint32_t i, bool make)
{
    piece_t *p = follow(&r->more_, make);
    for (i--; p != NULL && i >= PIECE_SLOTS; i -= PIECE_SLOTS)
        p = follow(&p->next, make);
    return p == NULL ? NULL : &p->slot[i];
}
