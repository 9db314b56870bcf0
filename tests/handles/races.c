/* Questions, frees and resizes beside compaction, and forks beside resizes: what a thread asks of an object must never
 * be answered from a slab or extent that is not there any more, and what fork finds of an object is its old state or
 * its new one. */
#include "objects.h"

#include <sys/wait.h>

enum { THREADS = 4, OBJECTS = 4000, FORKS = 150 };
static const double SECONDS = 2.5;

static tm_handle_t shared[OBJECTS]; // each object belongs to one thread; others ask about it
static const size_t sizes[] = {24, 100, 700, 5000, 70000, 200000};
static bool stop;
static size_t wrong_answers, right_answers;

static size_t size_of(size_t i) { return sizes[i % (sizeof sizes / sizeof sizes[0])]; }
static bool stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }
static tm_handle_t object(size_t i) { return __atomic_load_n(&shared[i], __ATOMIC_ACQUIRE); }
static void set_object(size_t i, tm_handle_t h) { __atomic_store_n(&shared[i], h, __ATOMIC_RELEASE); }

static void count(bool right) { __atomic_fetch_add(right ? &right_answers : &wrong_answers, 1, __ATOMIC_RELAXED); }

/* One thread's share: its own objects come and go, under a pin of another one, so that tm_free takes its slow path. */
static void use_own(size_t i, tm_handle_t pinned)
{
    tm_handle_t h = object(i);
    if (h == TM_NULL) {
        h = i % 3 == 0 ? tm_alloc_aligned(256, size_of(i)) : tm_alloc(size_of(i));
        set_object(i, h);
        return;
    }
    size_t usable = tm_sizeof(h);
    count(usable >= size_of(i) && tm_check(h, size_of(i)));
    if (i % 5 == 0) {
        count(tm_realloc(h, size_of(i) + 10 + usable / 2) == h && tm_realloc(h, size_of(i)) == h);
    } else {
        set_object(i, TM_NULL);
        (void)tm_pin(pinned);
        tm_free(h);
        tm_unpin(pinned);
    }
}

/* What tm_check is for: handles that other threads free. It may say no; it must not be wrong about another size, crash
 * or report. */
static void ask_about_others(size_t i)
{
    tm_handle_t h = object(i);
    if (h == TM_NULL)
        return;
    count(!tm_check(h, size_of(i) * 8 + 4096));
    (void)tm_check(h, size_of(i));
    (void)tm_valid(h);
}

static void *use(void *number)
{
    size_t mine = (uintptr_t)number;
    uint64_t r = mine << 32;
    tm_handle_t pinned = tm_alloc(64);
    while (!stopped()) {
        size_t i = random_below(&r, OBJECTS);
        if (i % THREADS == mine)
            use_own(i, pinned);
        else
            ask_about_others(i);
    }
    tm_free(pinned);
    return NULL;
}

static void *compact(void *unused)
{
    while (!stopped())
        (void)tm_compact();
    return unused;
}

static void start(pthread_t *t, void *(*body)(void *), size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pthread_create(&t[i], NULL, body, (void *)i) != 0)
            exit(1);
}

static void join(pthread_t *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)pthread_join(t[i], NULL);
}

/* On a machine that is emulated or busy that takes longer. */
static bool has_shown_something(void)
{
    return stats_now().moved_objects > 0 && __atomic_load_n(&right_answers, __ATOMIC_RELAXED) > 1000;
}

static int answers(void)
{
    pthread_t t[THREADS], mover;
    start(&mover, compact, 1);
    start(t, use, THREADS);
    enum { STEP_MS = 100, MOST_MS = 90 * 1000 };
    for (long ms = 0; ms < (long)(SECONDS * 1000) || (ms < MOST_MS && !has_shown_something()); ms += STEP_MS)
        tap_sleep_ms(STEP_MS);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    join(t, THREADS);
    join(&mover, 1);
    MUST(has_shown_something());
    MUST(wrong_answers == 0);
    return 0;
}

/* ---- fork beside resizes ----------------------------------------------------------------------------------------- */

enum { SMALLER = 3 << 20, LARGER = 40 << 20, MARKED = 4096 };

static tm_handle_t resized[2];

/* The first bytes of each page are marked by place: cheap to write, and lost pages show. */
static bool pages_intact(const char *p, size_t size)
{
    for (size_t at = 0; at < size; at += MARKED)
        if (!intact(p + at, 8, at))
            return false;
    return true;
}

static void mark_pages(char *p, size_t from, size_t size)
{
    for (size_t at = from; at < size; at += MARKED)
        fill(p + at, 8, at);
}

static void *resize(void *number)
{
    tm_handle_t h = resized[(uintptr_t)number];
    while (!stopped()) {
        tm_handle_t wall = tm_alloc(1 << 20); // so that growing takes a move by pages
        if (tm_realloc(h, LARGER) != h || tm_realloc(h, SMALLER) != h)
            exit(1);
        tm_free(wall);
    }
    return NULL;
}

static int child_of_fork(void)
{
    for (size_t i = 0; i < 2; i++) {
        size_t size = tm_sizeof(resized[i]);
        MUST(size >= SMALLER && size < LARGER + (1 << 16));
        TM_PINNED(const char, p, resized[i]) { MUST(pages_intact(p, SMALLER)); }
        MUST(tm_realloc(resized[i], 2 * LARGER) == resized[i]);
        TM_PINNED(const char, p, resized[i]) { MUST(pages_intact(p, SMALLER)); }
        tm_free(resized[i]);
    }
    return 0;
}

static int forks_beside_resizes(void)
{
    pthread_t t[2];
    for (size_t i = 0; i < 2; i++) {
        resized[i] = tm_alloc(SMALLER);
        TM_PINNED(char, p, resized[i]) { mark_pages(p, 0, SMALLER); }
    }
    start(t, resize, 2);
    for (int i = 0; i < FORKS; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            tap_alarm(10);
            _exit(child_of_fork());
        }
        (void)waitpid(pid, &status, 0);
        MUST(status == 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    join(t, 2);
    return 0;
}

/* ---- first uses in signal handlers ------------------------------------------------------------------------------- */

static tm_handle_t for_handlers;
static volatile size_t handled;

static void pin_in_handler(int signal)
{
    (void)signal;
    TM_PINNED(char, p, for_handlers)
    {
        if (!all_bytes(p, 'h', 100))
            _exit(3);
    }
    tm_scope_enter();
    if (!all_bytes(tm_deref(for_handlers), 'h', 100))
        _exit(4);
    tm_scope_exit();
    (void)tm_lock(for_handlers);
    tm_unlock(for_handlers);
    handled++;
}

/* Its first calls of the library, which signals interrupt anywhere. */
static void *begin_and_end(void *which)
{
    free(malloc(100 + 1000 * ((uintptr_t)which % 3)));
    tm_free(tm_alloc(100));
    return NULL;
}

static void *send(void *target)
{
    while (!stopped()) {
        (void)pthread_kill(*(pthread_t *)target, SIGUSR1);
        for (int i = 0; i < 50; i++)
            __asm__ volatile("" ::: "memory");
    }
    return NULL;
}

/* Threads begin under a rain of signals: these are directed at the process, and at times only a new thread takes
 * them. */
static void *begin_many(void *unused)
{
    for (uintptr_t i = 0; i < 3000; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, begin_and_end, (void *)i) != 0 || pthread_join(t, NULL) != 0)
            exit(1);
    }
    return unused;
}

static void *rain(void *unused)
{
    while (!stopped())
        (void)kill(getpid(), SIGUSR1);
    return unused;
}

static int first_pins_in_handlers(void)
{
    struct sigaction a = {.sa_handler = pin_in_handler, .sa_flags = SA_RESTART};
    sigset_t usr1;
    pthread_t main_thread = pthread_self(), t[2];
    for_handlers = tm_alloc(100);
    TM_PINNED(char, p, for_handlers) { memset(p, 'h', 100); }
    tap_alarm(60);
    (void)sigaction(SIGUSR1, &a, NULL);
    start(&t[0], rain, 1);
    (void)sigemptyset(&usr1);
    (void)sigaddset(&usr1, SIGUSR1);
    MUST(pthread_create(&t[1], NULL, send, &main_thread) == 0);
    (void)begin_many(NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    join(t, 2);
    MUST(handled > 1000);
    MUST(stats_now().pins == 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        if (strcmp(argv[1], "answers beside compaction") == 0)
            return answers();
        if (strcmp(argv[1], "forks beside resizes") == 0)
            return forks_beside_resizes();
        return first_pins_in_handlers();
    }
    tap_case("answers beside compaction", NULL);
    tap_case("answers beside compaction", "fence:none");
    tap_case("forks beside resizes", NULL);
    tap_case("first pins in handlers", NULL);
    return tap_done();
}
