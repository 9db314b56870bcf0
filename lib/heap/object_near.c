/* tm_alloc_near and tm_each: allocate an object beside another, and visit all objects. */
#include "compaction/pin.h"
#include "heap/object_impl.h"
#include "os/options.h"
#include "os/os.h"
#include "sampling/samples.h"
#include "threads/compactor.h"
#include "threads/pacer.h"

/* Allocate in the slab of an object that the caller has pinned. TM_NULL: the slab has slots of another size, or none
 * free. */
static tm_handle_t beside(tmi_thread_t *t, const char *at, size_t size)
{
    unsigned cls = tmi_object_class(size, 1);
    tm_handle_t g = TM_NULL;
    // also for slabs of locked and aligned objects
    if (cls == tmi_movable_class(at))
        g = tmi_hcache_alloc_near(tmi_options.check == TMI_CHECK_FULL ? NULL : &t->handles, cls, at);
    if (g == TM_NULL)
        return TM_NULL;
    uint64_t *word = tmi_word(tmi_handle_index(g));
    tmi_store_release(word, tmi_load_relaxed(word) | TMI_WORD_LIVE); // as in tm_alloc: reserved, so ours
    tmi_compactor_poll();
    tmi_pacer_allocated();
    return g;
}

tm_handle_t tmi_object_alloc_near(tm_handle_t near, size_t size, void *frame)
{
    uint64_t w;
    tm_handle_t g = TM_NULL;
    if (near == TM_NULL || size > TMI_MOVABLE_MAX)
        return TM_NULL;
    if (!tmi_object_live(near, &w)) {
        tmi_object_stale("tm_alloc_near", near);
        return TM_NULL;
    }
    tmi_thread_t *t = tmi_thread_with_handles();
    char *at = t == NULL || t->handles.own == NULL ? NULL : tm_try_pin(near);
    if (at == NULL)
        return TM_NULL;
    g = beside(t, at, size);
    tm_unpin(near);
    if (frame != NULL && g != TM_NULL)
        tmi_object_sampled(g, size, frame);
    return g;
}

/* After this call the thread sees all that other threads had stored before they made these objects live. On x86-64 no
 * fence is needed for that. Elsewhere the live bit is stored without order (made_live in api.c), since the program
 * orders a handle that it hands over. The handles here come from the table, so a fence of all threads orders them. */
static void see_what_came_before(void)
{
#if !defined(__x86_64__)
    if (tmi_pin_asymmetric())
        (void)tmi_os_fence(TMI_FENCE_EXPEDITED);
#endif
}

static bool is_live(tm_handle_t h)
{
    uint64_t w;
    return tmi_object_live(h, &w);
}

size_t tmi_object_each(bool (*visit)(tm_handle_t h, void *context), void *context)
{
    enum { AT_ONCE = 64 };
    tm_handle_t found[AT_ONCE];
    size_t visited = 0, n;
    uint32_t at = 0;
    if (!tmi_object_ready())
        return 0;
    uint32_t end = tmi_handle_places();
    while ((n = tmi_handle_live(&at, end, found, AT_ONCE)) > 0) {
        see_what_came_before();
        for (size_t i = 0; i < n; i++) {
            if (!is_live(found[i])) // freed meanwhile, perhaps by the visitor
                continue;
            visited++;
            if (!visit(found[i], context))
                return visited;
        }
    }
    return visited;
}
