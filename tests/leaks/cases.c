/* Programs with known leaks for tests/leaks: `cases NAME`. Each function that allocates is a call site. */
#include <tinymem/profile.h>
#include <tinymem/tinymem.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
enum { N = 100 };

typedef struct node {
    struct node *next;
    char bytes[56];
} node_t;

static void *volatile kept;
static void *volatile several[N];

/* What earlier calls have left below on the stack, and in registers, would keep what is lost. */
NOINLINE static void wipe_stack(void)
{
    volatile char room[16384];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

NOINLINE static void *lost_here(size_t size)
{
    void *p = malloc(size);
    __asm__ volatile("" ::: "memory");
    return p;
}
NOINLINE static void *kept_here(size_t size)
{
    void *p = malloc(size);
    __asm__ volatile("" ::: "memory");
    return p;
}
NOINLINE static node_t *list_here(int n)
{
    node_t *first = NULL;
    for (int i = 0; i < n; i++) {
        node_t *node = memset(malloc(sizeof *node), 0, sizeof *node);
        node->next = first;
        first = node;
    }
    return first;
}

NOINLINE static void nothing(void)
{
    for (int i = 0; i < N; i++)
        several[i] = lost_here(100);
    for (int i = 0; i < N; i++)
        free(several[i]);
}

NOINLINE static void one(void) { memset(lost_here(1000), 1, 1000); }
NOINLINE static void a_static_pointer(void) { kept = kept_here(1000); }
NOINLINE static void a_pointer_inside(void) { kept = (char *)kept_here(1000) + 500; }
NOINLINE static void a_large_one(void) { memset(lost_here(3000000), 1, 3000000); }
NOINLINE static void a_list_that_is_kept(void) { kept = list_here(N); }
NOINLINE static void a_list_that_is_lost(void) { (void)*(volatile char *)list_here(N); }
NOINLINE static void a_ring_that_is_lost(void)
{
    node_t *first = list_here(N), *last = first;
    while (last->next != NULL)
        last = last->next;
    last->next = first;
}
NOINLINE static void both(void)
{
    for (int i = 0; i < N; i++) {
        several[i] = kept_here(64);
        (void)*(volatile char *)lost_here(32);
    }
}
NOINLINE static void a_freed_block_that_points(void)
{
    void **holder = malloc(sizeof *holder * 100);
    for (int i = 0; i < 100; i++)
        holder[i] = lost_here(48);
    free(holder);
}
NOINLINE static void in_a_mapping(void)
{
    void **m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m[5000] = kept_here(100);
}

static void *wait_for_ever(void *ready)
{
    void *volatile held = kept_here(200);
    __atomic_store_n((int *)ready, 1, __ATOMIC_RELEASE);
    for (;;)
        pause();
    return held;
}
NOINLINE static void on_the_stack_of_a_thread(void)
{
    static int ready;
    pthread_t t;
    (void)pthread_create(&t, NULL, wait_for_ever, &ready);
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        usleep(1000);
}
static __thread void *volatile of_this_thread;
NOINLINE static void thread_local_storage(void) { of_this_thread = kept_here(300); }

NOINLINE static tm_handle_t kept_object(size_t size)
{
    tm_handle_t h = tm_alloc(size);
    __asm__ volatile("" ::: "memory");
    return h;
}
NOINLINE static tm_handle_t lost_object(size_t size)
{
    tm_handle_t h = tm_alloc(size);
    __asm__ volatile("" ::: "memory");
    return h;
}
static volatile tm_handle_t kept_handle;
NOINLINE static void handles(void)
{
    kept_handle = kept_object(400);
    *(void **)tm_pin(kept_handle) = kept_here(500);
    tm_unpin(kept_handle);
    (void)(volatile tm_handle_t){lost_object(600)};
}
NOINLINE static void hidden(void) { kept = (void *)~(uintptr_t)lost_here(100); }
NOINLINE static void on_demand(void)
{
    kept = kept_here(700);
    one();
    wipe_stack();
    (void)tm_profile_dump("/dev/stdout");
}

/* As many allocations and frees as a program makes, and a leak among them. */
NOINLINE static void amid_churn(void)
{
    for (int i = 0; i < 50000; i++) {
        free(several[i % N]);
        several[i % N] = kept_here(16 + (size_t)i % 500);
        if (i % 500 == 0)
            memset(lost_here(123), 0, 123);
    }
    for (int i = 0; i < N; i++)
        free(several[i]);
}

#define CASES(X) \
    X(nothing) X(one) X(a_static_pointer) X(a_pointer_inside) X(a_large_one) X(a_list_that_is_kept) X(amid_churn) \
    X(a_list_that_is_lost) X(a_ring_that_is_lost) X(both) X(a_freed_block_that_points) X(in_a_mapping) \
    X(on_the_stack_of_a_thread) X(thread_local_storage) X(handles) X(hidden) X(on_demand)

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define ROW(name) {#name, name},
    CASES(ROW)
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            wipe_stack();
            return 0;
        }
    return 2;
}
