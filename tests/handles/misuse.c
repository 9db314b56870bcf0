/* Misuse of handles: each case is a process of its own that must end by SIGABRT with exactly the promised line on
 * stderr. Each is tried with the default options, without background compaction, and with check:full. The controls do
 * nearly the same, rightly, in silence. */
#include "objects.h"

#define STALE "stale handle: its object was freed"
#define REUSED "stale handle: its object was freed, and its index has another one now"
#define FREED_LONG_AGO "foreign handle, or its object was freed long ago"
#define NO_HANDLE "not a handle"

static void *volatile sink;
static volatile size_t size_sink;

/* Which handle is about to be misused. */
static tm_handle_t say(tm_handle_t h)
{
    char line[32];
    (void)!write(1, line, (size_t)snprintf(line, sizeof line, "%#llx\n", (unsigned long long)h));
    return h;
}

/* ---- a handle whose object is gone ------------------------------------------------------------------------------- */

static tm_handle_t freed(void)
{
    tm_handle_t h = tm_alloc(100);
    tm_free(h);
    return say(h);
}

/* Its index and its slot have a new object. */
static tm_handle_t reused(void)
{
    tm_handle_t h = tm_alloc(100), g;
    tm_free(h);
    do
        g = tm_alloc(100);
    while (tm_ref(g) != tm_ref(h));
    return say(h);
}

static tm_handle_t freed_large(void)
{
    tm_handle_t h = tm_alloc(1 << 20);
    tm_free(h);
    return say(h);
}

/* Its slab, and the page of its word, have been given back. */
static tm_handle_t freed_and_forgotten(void)
{
    enum { N = 50000 };
    static tm_handle_t all[N];
    for (int i = 0; i < N; i++)
        all[i] = tm_alloc(100);
    for (int i = 0; i < N; i++)
        tm_free(all[i]);
    (void)tm_compact();
    return say(all[N / 2]);
}

static tm_handle_t foreign(void)
{
    tm_free(tm_alloc(100));
    return say(((tm_handle_t)1 << 63) | (tm_handle_t)123456789 << 32 | 0x5a << 2 | 2);
}

static tm_handle_t address(void)
{
    tm_free(tm_alloc(100));
    return say((tm_handle_t)(uintptr_t)&sink & ~(tm_handle_t)15);
}

static tm_handle_t small_number(void)
{
    tm_free(tm_alloc(100));
    return say(4096);
}

/* What a word in a magazine says, except for the address: the next life of a freed object, which has not begun. */
static tm_handle_t next_life(void)
{
    tm_handle_t h = tm_alloc(100);
    tm_free(h);
    return say(h - 4 - 2);
}

/* Live handles with one bit changed. */
static tm_handle_t with_a_bit_more(void) { return say(tm_alloc(100) | 1 << 20); }
static tm_handle_t with_the_movers_bit(void) { return say(tm_alloc(100) | 1); }

/* Before the process has any object, and the table of words: as its first call. */
static tm_handle_t foreign_at_first(void)
{
    return say(((tm_handle_t)1 << 63) | (tm_handle_t)123456789 << 32 | 0x5a << 2 | 2);
}
static tm_handle_t address_at_first(void) { return say((tm_handle_t)(uintptr_t)&sink & ~(tm_handle_t)15); }

#define USES(state)                                                                   \
    static void pin_of_##state(void) { sink = tm_pin(state()); }                      \
    static void deref_of_##state(void)                                                \
    {                                                                                 \
        tm_handle_t h = state();                                                      \
        tm_scope_enter();                                                             \
        sink = tm_deref(h);                                                           \
    }                                                                                 \
    CALLS(state)
#define CALLS(state)                                                                  \
    static void lock_of_##state(void) { sink = tm_lock(state()); }                    \
    static void unlock_of_##state(void) { tm_unlock(state()); }                       \
    static void free_of_##state(void) { tm_free(state()); }                           \
    static void realloc_of_##state(void) { sink = (void *)(uintptr_t)tm_realloc(state(), 200); } \
    static void sizeof_of_##state(void) { size_sink = tm_sizeof(state()); }
USES(freed)
USES(reused)
USES(freed_large)
USES(freed_and_forgotten)
USES(foreign)
USES(address)
USES(small_number)
CALLS(next_life) // pin and deref, which are inlined, compare 16 bits and no more
CALLS(with_a_bit_more)
CALLS(with_the_movers_bit)
USES(foreign_at_first)
USES(address_at_first)

static void free_twice(void)
{
    tm_handle_t h = say(tm_alloc(100));
    tm_free(h);
    tm_free(h);
}

static void free_twice_with_others_between(void)
{
    tm_handle_t h[200];
    for (int i = 0; i < 200; i++)
        h[i] = tm_alloc(100);
    for (int i = 0; i < 200; i++)
        tm_free(h[i]);
    tm_free(say(h[100]));
}

static pthread_barrier_t barrier;

static void *free_at_once(void *h)
{
    (void)pthread_barrier_wait(&barrier);
    tm_free(*(tm_handle_t *)h);
    (void)pthread_barrier_wait(&barrier);
    return NULL;
}

/* Two threads free the same object at the same time: exactly one is told. */
static void free_twice_in_a_race(void)
{
    pthread_t t;
    (void)pthread_barrier_init(&barrier, NULL, 2);
    for (;;) {
        tm_handle_t h = tm_alloc(100);
        if (pthread_create(&t, NULL, free_at_once, &h) != 0)
            return;
        (void)pthread_barrier_wait(&barrier);
        tm_free(h);
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_join(t, NULL);
    }
}

/* ---- pinned and locked ------------------------------------------------------------------------------------------- */

static tm_handle_t pinned(void)
{
    tm_handle_t h = say(tm_alloc(100));
    sink = tm_pin(h);
    (void)tm_pin(TM_NULL);
    return h;
}

static void free_of_what_it_has_pinned(void) { tm_free(pinned()); }
static void realloc_of_what_it_has_pinned(void) { sink = (void *)(uintptr_t)tm_realloc(pinned(), 5000); }
static void realloc_to_nothing_of_what_it_has_pinned(void) { sink = (void *)(uintptr_t)tm_realloc(pinned(), 0); }

static tm_handle_t locked(void)
{
    tm_handle_t h = say(tm_alloc(100));
    sink = tm_lock(h);
    return h;
}

static tm_handle_t locked_large(void)
{
    tm_handle_t h = say(tm_alloc(1 << 20));
    sink = tm_lock(h);
    return h;
}

static void free_of_what_is_locked(void) { tm_free(locked()); }
static void realloc_of_what_is_locked(void) { sink = (void *)(uintptr_t)tm_realloc(locked(), 5000); }
static void realloc_within_the_class_of_what_is_locked(void) { sink = (void *)(uintptr_t)tm_realloc(locked(), 101); }
static void free_of_large_what_is_locked(void) { tm_free(locked_large()); }
static void realloc_of_large_what_is_locked(void) { sink = (void *)(uintptr_t)tm_realloc(locked_large(), 3 << 20); }

static tm_handle_t shared;

static void *lock_there(void *unused)
{
    sink = tm_lock(shared);
    return unused;
}

static void free_of_what_another_thread_has_locked(void)
{
    pthread_t t;
    shared = say(tm_alloc(100));
    if (pthread_create(&t, NULL, lock_there, NULL) == 0)
        (void)pthread_join(t, NULL);
    tm_free(shared);
}

static void *pin_and_stay(void *unused)
{
    sink = tm_pin(shared);
    (void)pthread_barrier_wait(&barrier);
    (void)pause();
    return unused;
}

static tm_handle_t pinned_by_another_thread(void)
{
    pthread_t t;
    shared = say(tm_alloc(100));
    (void)pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&t, NULL, pin_and_stay, NULL) == 0)
        (void)pthread_barrier_wait(&barrier);
    return shared;
}

static void free_of_what_another_thread_has_pinned(void) { tm_free(pinned_by_another_thread()); }
static void realloc_of_what_another_thread_has_pinned(void)
{
    sink = (void *)(uintptr_t)tm_realloc(pinned_by_another_thread(), 5000);
}

static void unpin_without_a_pin(void) { tm_unpin(say(tm_alloc(100))); }

static void unpin_once_more(void)
{
    tm_handle_t h = say(tm_alloc(100)), g = tm_alloc(100);
    sink = tm_pin(g);
    sink = tm_pin(h);
    tm_unpin(h);
    tm_unpin(h);
}

static void *unpin_there(void *unused)
{
    tm_unpin(shared);
    return unused;
}

static void unpin_in_another_thread(void)
{
    pthread_t t;
    shared = say(tm_alloc(100));
    sink = tm_pin(shared);
    if (pthread_create(&t, NULL, unpin_there, NULL) == 0)
        (void)pthread_join(t, NULL);
}

static void unlock_without_a_lock(void) { tm_unlock(say(tm_alloc(100))); }
static void unlock_of_a_large_object_without_a_lock(void) { tm_unlock(say(tm_alloc(1 << 20))); }

static void unlock_once_more(void)
{
    tm_handle_t h = say(tm_alloc(100));
    sink = tm_lock(h);
    tm_unlock(h);
    tm_unlock(h);
}

static void unlock_of_what_is_only_pinned(void)
{
    tm_handle_t h = say(tm_alloc(100));
    sink = tm_pin(h);
    tm_unlock(h);
}

static void scope_exit_outside(void)
{
    tm_scope_enter();
    tm_scope_exit();
    tm_scope_exit();
}

static void scope_exit_as_first_call(void) { tm_scope_exit(); }

static void pin_reset_upwards(void)
{
    tm_handle_t h = tm_alloc(100);
    sink = tm_pin(h);
    unsigned mark = tm_pin_mark();
    tm_unpin(h);
    tm_pin_reset(mark);
}

static void more_scopes_than_can_be_counted(void)
{
    for (int i = 0; i < 65536; i++)
        tm_scope_enter();
}

static void more_locks_than_can_be_counted(void)
{
    tm_handle_t h = tm_alloc(100);
    say(h);
    for (int i = 0; i < 1 << 24; i++)
        sink = tm_lock(h);
}

/* ---- malloc's functions ------------------------------------------------------------------------------------------ */

static void mallocs_free_of(size_t size)
{
    void *p = tm_pin(tm_alloc(size));
    say((tm_handle_t)(uintptr_t)p);
    free(p);
}

static void mallocs_free_of_a_small_object(void) { mallocs_free_of(100); }
static void mallocs_free_of_a_middling_object(void) { mallocs_free_of(30000); }
static void mallocs_free_of_a_large_object(void) { mallocs_free_of(1 << 20); }
static void mallocs_realloc_of_an_object(void) { sink = realloc(tm_pin(say(tm_alloc(100))), 200); }

static void sizeof_as_first_call(void) { size_sink = tm_sizeof(say(((tm_handle_t)1 << 63) | 2)); }

static void free_of_mallocs_block(void)
{
    tm_free(tm_alloc(100));
    tm_free(say((tm_handle_t)(uintptr_t)malloc(100)));
}

/* ---- controls ---------------------------------------------------------------------------------------------------- */

static void control_stale_handles_are_told_without_reports(void)
{
    tm_handle_t old[] = {freed(),   reused(),       freed_large(), freed_and_forgotten(), foreign(),
                         address(), small_number(), next_life(),   with_a_bit_more(),     with_the_movers_bit()};
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (tm_valid(old[i]) || tm_check(old[i], 100))
            abort();
}

static void control_pinned_and_locked_rightly(void)
{
    tm_handle_t h = tm_alloc(100), g = tm_alloc(1 << 20);
    sink = tm_pin(h), sink = tm_pin(g), sink = tm_lock(h), sink = tm_lock(g);
    tm_unpin(h), tm_unpin(g), tm_unlock(h), tm_unlock(g);
    if (tm_realloc(h, 5000) != h || tm_realloc(g, 3 << 20) != g)
        abort();
    tm_free(h), tm_free(g);
}

static void *own_objects(void *unused)
{
    for (int i = 0; i < 10000; i++) {
        tm_handle_t h = tm_alloc((size_t)i % 500);
        sink = tm_pin(h);
        tm_unpin(h);
        tm_free(h);
    }
    return unused;
}

static void control_threads_with_objects_of_their_own(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        if (pthread_create(&t[i], NULL, own_objects, NULL) != 0)
            abort();
    for (int i = 0; i < 3; i++)
        (void)pthread_join(t[i], NULL);
}

static void control_locked_there_unlocked_here(void)
{
    pthread_t t;
    shared = tm_alloc(100);
    if (pthread_create(&t, NULL, lock_there, NULL) == 0)
        (void)pthread_join(t, NULL);
    tm_unlock(shared);
    tm_free(shared);
}

static void control_scopes_and_marks(void)
{
    unsigned mark = tm_pin_mark();
    tm_handle_t h = tm_alloc(100);
    tm_scope_enter();
    sink = tm_deref(h);
    tm_scope_exit();
    sink = tm_pin(h);
    tm_pin_reset(mark);
    tm_free(h);
}

/* ---- which line -------------------------------------------------------------------------------------------------- */

typedef struct misuse {
    const char *name;
    void (*run)(void);
    const char *line;      // "": a clean end
    const char *with_full; // where it differs
} misuse_t;

#define CASE(f, ...) {#f, f, __VA_ARGS__}
#define USES_OF(state, what)                                   \
    CASE(pin_of_##state, "tinymem: tm_pin(@): " what, NULL),   \
    CASE(deref_of_##state, "tinymem: tm_deref(@): " what, NULL), \
    CALLS_OF(state, what)
#define CALLS_OF(state, what)                                  \
    CASE(lock_of_##state, "tinymem: tm_lock(@): " what, NULL), \
    CASE(unlock_of_##state, "tinymem: tm_unlock(@): " what, NULL), \
    CASE(free_of_##state, "tinymem: tm_free(@): " what, NULL), \
    CASE(realloc_of_##state, "tinymem: tm_realloc(@): " what, NULL), \
    CASE(sizeof_of_##state, "tinymem: tm_sizeof(@): " what, NULL)

static const misuse_t cases[] = {
    USES_OF(freed, STALE),
    USES_OF(reused, REUSED),
    USES_OF(freed_large, STALE),
    USES_OF(freed_and_forgotten, FREED_LONG_AGO),
    USES_OF(foreign, FREED_LONG_AGO),
    USES_OF(address, NO_HANDLE),
    USES_OF(small_number, NO_HANDLE),
    CALLS_OF(next_life, NO_HANDLE),
    CALLS_OF(with_a_bit_more, NO_HANDLE),
    CALLS_OF(with_the_movers_bit, NO_HANDLE),
    USES_OF(foreign_at_first, FREED_LONG_AGO),
    USES_OF(address_at_first, NO_HANDLE),
    CASE(free_twice, "tinymem: tm_free(@): " STALE, NULL),
    CASE(free_twice_with_others_between, "tinymem: tm_free(@): " STALE, NULL),
    CASE(free_twice_in_a_race, "tinymem: tm_free(@): " STALE, NULL),
    CASE(free_of_what_it_has_pinned, "tinymem: tm_free(@): the object is pinned by this thread", NULL),
    CASE(realloc_of_what_it_has_pinned, "tinymem: tm_realloc(@): the object is pinned by this thread", NULL),
    CASE(realloc_to_nothing_of_what_it_has_pinned, "tinymem: tm_realloc(@): the object is pinned by this thread", NULL),
    CASE(free_of_what_is_locked, "tinymem: tm_free(@): the object is locked", NULL),
    CASE(realloc_of_what_is_locked, "tinymem: tm_realloc(@): the object is locked", NULL),
    CASE(realloc_within_the_class_of_what_is_locked, "tinymem: tm_realloc(@): the object is locked", NULL),
    CASE(free_of_large_what_is_locked, "tinymem: tm_free(@): the object is locked", NULL),
    CASE(realloc_of_large_what_is_locked, "tinymem: tm_realloc(@): the object is locked", NULL),
    CASE(free_of_what_another_thread_has_locked, "tinymem: tm_free(@): the object is locked", NULL),
    CASE(free_of_what_another_thread_has_pinned, "", "tinymem: tm_free(@): the object is pinned by another thread"),
    CASE(realloc_of_what_another_thread_has_pinned, "",
         "tinymem: tm_realloc(@): the object is pinned by another thread"),
    CASE(unpin_without_a_pin, "tinymem: tm_unpin(@): this thread has not pinned it", NULL),
    CASE(unpin_once_more, "tinymem: tm_unpin(@): this thread has not pinned it", NULL),
    CASE(unpin_in_another_thread, "tinymem: tm_unpin(@): this thread has not pinned it", NULL),
    CASE(unlock_without_a_lock, "tinymem: tm_unlock(@): the object is not locked", NULL),
    CASE(unlock_of_a_large_object_without_a_lock, "tinymem: tm_unlock(@): the object is not locked", NULL),
    CASE(unlock_once_more, "tinymem: tm_unlock(@): the object is not locked", NULL),
    CASE(unlock_of_what_is_only_pinned, "tinymem: tm_unlock(@): the object is not locked", NULL),
    CASE(scope_exit_outside, "tinymem: tm_scope_exit(0x0): this thread is in no scope", NULL),
    CASE(scope_exit_as_first_call, "tinymem: tm_scope_exit(0x0): this thread is in no scope", NULL),
    CASE(pin_reset_upwards, "tinymem: tm_pin_reset(0x0): fewer pins are held than at the mark", NULL),
    CASE(more_scopes_than_can_be_counted, "tinymem: tm_scope_enter(0x0): 65,535 scopes of this thread are open", NULL),
    CASE(more_locks_than_can_be_counted, "tinymem: tm_lock(@): the object has 16,777,215 locks", NULL),
    CASE(mallocs_free_of_a_small_object, "tinymem: free(@): *", NULL),
    CASE(mallocs_free_of_a_middling_object, "tinymem: free(@): *", NULL),
    CASE(mallocs_free_of_a_large_object, "tinymem: free(@): *", NULL),
    CASE(mallocs_realloc_of_an_object, "tinymem: realloc(@): *", NULL),
    CASE(sizeof_as_first_call, "tinymem: tm_sizeof(@): " FREED_LONG_AGO, NULL),
    CASE(free_of_mallocs_block, "tinymem: tm_free(@): " NO_HANDLE, NULL),
    CASE(control_stale_handles_are_told_without_reports, "", NULL),
    CASE(control_pinned_and_locked_rightly, "", NULL),
    CASE(control_threads_with_objects_of_their_own, "", NULL),
    CASE(control_locked_there_unlocked_here, "", NULL),
    CASE(control_scopes_and_marks, "", NULL),
};

/* Where the case said which handle it was going to misuse, the line must name that one. */
static bool names_the_handle(const tap_child_t *c)
{
    char named[64];
    size_t n = strcspn(c->out, "\n");
    if (n == 0 || n > 40)
        return true;
    (void)snprintf(named, sizeof named, "(%.*s)", (int)n, c->out);
    return strstr(c->err, named) != NULL;
}

static void try_case(const misuse_t *m, const char *line, const char *options)
{
    tap_child_t c;
    tap_self(&c, m->name, options);
    bool one_line = strchr(c.err, '\n') == strrchr(c.err, '\n');
    bool good = *line ? tap_aborted_saying(&c, line) && one_line &&
                            (names_the_handle(&c) || strstr(line, "realloc(@): *") != NULL)
                      : tap_exited(&c, 0) && c.err[0] == '\0';
    tap(good, "%s%s%s", m->name, options ? ", " : "", options ? options : "");
}

/* ---- option stale, and what is reported without an abort --------------------------------------------------------- */

static int use_stale(void)
{
    tm_handle_t h = freed();
    MUST(tm_pin(h) == NULL);
    tm_unpin(h);
    tm_scope_enter();
    MUST(tm_deref(h) == NULL);
    tm_scope_exit();
    MUST(tm_lock(h) == NULL && tm_sizeof(h) == 0 && tm_realloc(h, 10) == TM_NULL);
    tm_unlock(h);
    tm_free(h);
    MUST(stats_now().pins == 0 && stats_now().live_objects == 0);
    return 0;
}

static size_t lines(const char *s)
{
    size_t n = 0;
    for (; (s = strchr(s, '\n')) != NULL; s++)
        n++;
    return n;
}

static void option_stale(void)
{
    tap_child_t c;
    tap_self(&c, "use_stale", "stale:null");
    tap(tap_exited(&c, 0) && c.err[0] == '\0', "stale:null: NULL for all of them, in silence");
    tap_self(&c, "use_stale", "stale:report");
    tap(tap_exited(&c, 0) && lines(c.err) == 7 && strstr(c.err, "tm_deref(") && strstr(c.err, "tm_sizeof("),
        "stale:report: a line for each of seven, and NULL");
    tap_self(&c, "use_stale", "stale:abort");
    tap(tap_aborted_saying(&c, "tinymem: tm_pin(@): " STALE), "stale:abort: the first is the last");
}

static void *leave_pins(void *unused)
{
    for (int i = 0; i < 3; i++)
        sink = tm_pin(shared);
    tm_scope_enter();
    return unused;
}

static int end_with_pins(void)
{
    pthread_t t;
    shared = tm_alloc(100);
    fill_object(shared, 100, 1);
    MUST(pthread_create(&t, NULL, leave_pins, NULL) == 0 && pthread_join(t, NULL) == 0);
    MUST(stats_now().pins == 0 && object_intact(shared, 100, 1));
    (void)tm_compact();
    tm_free(shared);
    return 0;
}

static int end_without_pins(void)
{
    control_threads_with_objects_of_their_own();
    return 0;
}

static void threads_that_end_with_pins(void)
{
    tap_child_t c;
    tap_self(&c, "end_with_pins", NULL);
    tap(tap_exited(&c, 0) &&
            strcmp(c.err, "tinymem: a thread ended with 4 pins or scopes that it had not ended\n") == 0,
        "a thread that ends with pins: reported, its pins dropped, and the program goes on");
    tap_self(&c, "end_without_pins", NULL);
    tap(tap_exited(&c, 0) && c.err[0] == '\0', "control: one that ends without is not");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "use_stale") == 0)
        return use_stale();
    if (argc > 1 && strcmp(argv[1], "end_with_pins") == 0)
        return end_with_pins();
    if (argc > 1 && strcmp(argv[1], "end_without_pins") == 0)
        return end_without_pins();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc < 2) {
            try_case(&cases[i], cases[i].line, NULL);
            try_case(&cases[i], cases[i].line, "compaction:manual");
            try_case(&cases[i], cases[i].with_full ? cases[i].with_full : cases[i].line, "check:full");
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    if (argc > 1)
        return 2;
    option_stale();
    threads_that_end_with_pins();
    return tap_done();
}
