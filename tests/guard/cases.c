/* Programs for tests/guard: `cases NAME` misuses a guarded block, or does not. What is misused is written to stdout:
 * "POINTER". With guard:1 each block is a guarded one, which lies at the end of its pages or at their start by
 * chance; the cases ask for what they need. */
#include <tinymem/heap.h>
#include <tinymem/tinymem.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
enum { PAGE = 4096, TRIES = 300 };

static char *volatile block;
static volatile char sink;

static void say(const void *p)
{
    char line[32];
    (void)!write(1, line, (size_t)snprintf(line, sizeof line, "%p\n", p));
}

NOINLINE static char *allocate_here(size_t size)
{
    char *p = malloc(size);
    __asm__ volatile("" ::: "memory");
    return p;
}

NOINLINE static void free_here(void *p)
{
    free(p);
    __asm__ volatile("" ::: "memory");
}

NOINLINE static void read_here(const volatile char *p)
{
    sink = *p;
    __asm__ volatile("" ::: "memory");
}

NOINLINE static void write_here(volatile char *p)
{
    *p = 1;
    __asm__ volatile("" ::: "memory");
}

/* A block that ends with its pages, as its alignment allows; or one that starts with them. */
static char *at_end(size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        char *p = allocate_here(size);
        if ((((uintptr_t)p + size + 15) & ~(uintptr_t)15) % PAGE == 0) {
            say(p);
            return p;
        }
        free(p);
    }
    exit(3);
}

static char *at_start(size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        char *p = allocate_here(size);
        if ((uintptr_t)p % PAGE == 0) {
            say(p);
            return p;
        }
        free(p);
    }
    exit(3);
}

static void overflow_by_a_read(void) { read_here(at_end(32) + 32); }
static void overflow_by_a_write(void) { write_here(at_end(32) + 32); }
static void overflow_by_far(void) { write_here(at_end(32) + 132); }
static void overflow_of_a_large_block(void) { write_here(at_end(60000) + 60000); }
static void overflow_past_the_alignment(void) { write_here(at_end(24) + 32); }
static void underflow_by_a_read(void) { read_here(at_start(32) - 1); }
static void underflow_by_a_write(void) { write_here(at_start(32) - 8); }
static void canary_behind(void)
{
    char *p = at_end(24);
    write_here(p + 26);
    free_here(p);
}
static void canary_before(void)
{
    char *p = at_end(32);
    write_here(p - 1);
    free_here(p);
}
static void canary_of_realloc(void)
{
    block = at_start(100);
    write_here(block + 100);
    block = realloc(block, 200);
}
static void canary_of_nothing(void)
{
    char *p = at_end(0);
    write_here(p);
    free_here(p);
}

static void use_after_free(char *p, void (*use)(volatile char *))
{
    free_here(p);
    use(p + 5);
}
static void read_after_free(void) { use_after_free(at_end(32), (void (*)(volatile char *))read_here); }
static void write_after_free(void) { use_after_free(at_start(32), write_here); }
static void use_after_realloc(void)
{
    char *p = at_start(32);
    block = p;
    block = realloc(block, 1000);
    read_here(p);
}
static void use_after_many_others(void)
{
    char *p = at_end(32);
    free_here(p);
    for (int i = 0; i < 500; i++)
        free(malloc(32));
    read_here(p);
}

static void *free_elsewhere(void *p)
{
    free_here(p);
    return NULL;
}
static void freed_by_another_thread(void)
{
    pthread_t t;
    char *p = at_start(32);
    if (pthread_create(&t, NULL, free_elsewhere, p) == 0)
        (void)pthread_join(t, NULL);
    read_here(p);
}

static void double_free(void)
{
    block = at_end(32);
    free_here(block);
    free_here(block);
}
static void free_inside(void) { free_here(at_end(32) + 16); }
static void free_inside_misaligned(void) { free_here(at_start(32) + 1); }
static void free_before(void) { free_here(at_end(32) - 16); }
static void free_inside_freed(void)
{
    block = at_end(32);
    free_here(block);
    free_here(block + 16);
}
static void realloc_after_free(void)
{
    block = at_end(32);
    free_here(block);
    block = realloc(block, 100);
}
static void realloc_inside(void)
{
    block = at_end(32);
    block = realloc(block + 16, 100);
}
static void usable_size_after_free(void)
{
    block = at_end(32);
    free_here(block);
    sink = (char)malloc_usable_size(block);
}
static void free_sized_twice(void)
{
    extern void free_sized(void *p, size_t size);
    block = at_end(32);
    free_here(block);
    free_sized(block, 32);
}

/* ---- blocks that a profile samples ------------------------------------------------------------------------------ */

static void sampled_double_free(void)
{
    say(block = allocate_here(32));
    free_here(block);
    free_here(block);
}
static void sampled_double_free_of_a_large_block(void)
{
    say(block = allocate_here(3000000));
    free_here(block);
    free_here(block);
}
static void sampled_free_inside(void)
{
    say(block = allocate_here(320));
    free_here(block + 16);
}
static void sampled_realloc_after_free(void)
{
    say(block = allocate_here(32));
    free_here(block);
    block = realloc(block, 100);
}
static void sampled_free_by_another_thread(void)
{
    pthread_t t;
    say(block = allocate_here(32));
    if (pthread_create(&t, NULL, free_elsewhere, block) == 0)
        (void)pthread_join(t, NULL);
    free_here(block);
}

NOINLINE static tm_handle_t object_here(size_t size)
{
    tm_handle_t h = tm_alloc(size);
    __asm__ volatile("" ::: "memory");
    return h;
}
NOINLINE static void object_free_here(tm_handle_t h)
{
    tm_free(h);
    __asm__ volatile("" ::: "memory");
}
NOINLINE static void pin_here(tm_handle_t h)
{
    (void)tm_pin(h);
    __asm__ volatile("" ::: "memory");
}
static void stale_free(void)
{
    tm_handle_t h = object_here(48);
    say((void *)(uintptr_t)h);
    object_free_here(h);
    object_free_here(h);
}
static void stale_pin_of_a_reused_index(void)
{
    tm_handle_t h = object_here(48);
    say((void *)(uintptr_t)h);
    object_free_here(h);
    for (int i = 0; i < 1000; i++)
        (void)object_here(48);
    pin_here(h);
}

/* ---- handlers of the program ------------------------------------------------------------------------------------ */

static void on_fault(int number)
{
    (void)number;
    (void)!write(1, "handler\n", 8);
    _exit(7);
}
static void on_fault_with(int number, siginfo_t *info, void *context)
{
    (void)context;
    (void)!write(1, number == SIGSEGV && info->si_addr == block + 32 ? "address\n" : "another\n", 8);
    _exit(7);
}
static sigjmp_buf back;
static void on_fault_jump(int number)
{
    (void)number;
    siglongjmp(back, 1);
}
static void set_handler(void (*plain)(int), void (*informed)(int, siginfo_t *, void *), int flags)
{
    struct sigaction a = {.sa_handler = plain, .sa_flags = flags};
    if (informed != NULL) {
        a.sa_sigaction = informed;
        a.sa_flags |= SA_SIGINFO;
    }
    (void)sigaction(SIGSEGV, &a, NULL);
}

static void handler_before(void) { overflow_by_a_write(); } /* by a constructor, see below */
static void handler_with_address(void)
{
    block = at_end(32);
    write_here(block + 32);
}
static void handler_later(void)
{
    block = at_end(32);
    set_handler(on_fault, NULL, 0);
    write_here(block + 32);
}
static void handler_later_free(void)
{
    block = at_end(32);
    set_handler(on_fault, NULL, 0);
    free_here(block);
    free_here(block);
}
static void handler_jumps(void)
{
    char *p = at_end(32);
    for (int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            write_here(p + 32);
    (void)!write(1, "survived\n", 9);
}
static void fault_elsewhere(void)
{
    free(at_end(32));
    write_here((char *)16);
}
static void signal_sent(void)
{
    free(at_end(32));
    (void)raise(SIGSEGV);
}
static void signal_sent_and_ignored(void)
{
    free(at_end(32));
    (void)raise(SIGSEGV);
    (void)!write(1, "survived\n", 9);
}

/* Some want a handler before the first guarded block: with guard:N the library has set none yet. */
__attribute__((constructor)) static void handlers(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "handler_before") == 0)
        set_handler(on_fault, NULL, 0);
    if (strcmp(name, "handler_with_address") == 0)
        set_handler(NULL, on_fault_with, 0);
    if (strcmp(name, "handler_jumps") == 0)
        set_handler(on_fault_jump, NULL, 0);
    if (strcmp(name, "signal_sent_and_ignored") == 0)
        set_handler(SIG_IGN, NULL, 0);
}

/* ---- no misuse -------------------------------------------------------------------------------------------------- */

static void check(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "wrong: %s\n", what);
    exit(1);
}

static int filled(const char *p, char c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            return 0;
    return 1;
}

static void sizes_and_kinds(void)
{
    for (size_t size = 0; size < 70000; size += size < 300 ? 1 : 977) {
        char *p = malloc(size), *q = calloc(1, size);
        check(malloc_usable_size(p) >= size && (uintptr_t)p % (size > 8 ? 16 : 8) == 0, "malloc");
        check(filled(q, 0, size), "calloc");
        memset(p, 'p', malloc_usable_size(p));
        memset(q, 'q', malloc_usable_size(q));
        p = realloc(p, size + 1 + size / 2);
        check(filled(p, 'p', size), "realloc grows");
        p = realloc(p, size / 3 + 1);
        check(filled(p, 'p', size > 0 ? size / 3 : 0), "realloc shrinks");
        free(p);
        free(q);
    }
    for (size_t align = 8; align <= 1 << 20; align *= 2)
        for (size_t size = 1; size < 9000; size += 607) {
            void *p = NULL;
            check(posix_memalign(&p, align, size) == 0 && (uintptr_t)p % align == 0, "posix_memalign");
            memset(p, 'a', size);
            free(p);
            p = aligned_alloc(align, size);
            check((uintptr_t)p % align == 0, "aligned_alloc");
            free(p);
        }
    check(realloc(malloc(10), 0) == NULL, "realloc to nothing");
    errno = 5;
    free(malloc(10));
    check(errno == 5, "errno is kept");
}

static void *churn(void *seed)
{
    enum { N = 64 };
    unsigned x = (unsigned)(uintptr_t)seed;
    char *p[N] = {0};
    for (int i = 0; i < 4000; i++) {
        x = x * 1103515245 + 12345;
        unsigned k = x >> 16 & (N - 1);
        if (p[k] != NULL)
            check(p[k][0] == (char)k && p[k][99] == (char)k, "contents in a thread");
        free(p[k]);
        p[k] = malloc(100 + (x & 255));
        memset(p[k], (int)k, 100);
    }
    for (int i = 0; i < N; i++)
        free(p[i]);
    return NULL;
}
static void threads_and_forks(void)
{
    pthread_t t[4];
    for (uintptr_t i = 0; i < 4; i++)
        check(pthread_create(&t[i], NULL, churn, (void *)(i + 1)) == 0, "pthread_create");
    for (int i = 0; i < 10; i++) {
        int status = 1;
        char *p = malloc(50);
        pid_t child = fork();
        if (child == 0) {
            free(p);
            (void)churn((void *)99);
            _exit(0);
        }
        check(waitpid(child, &status, 0) == child && status == 0, "a child");
        free(p);
    }
    for (int i = 0; i < 4; i++)
        (void)pthread_join(t[i], NULL);
}

static void misuse_in_a_child(void)
{
    char *p = at_end(32);
    pid_t child = fork();
    if (child == 0) {
        free_here(p);
        read_here(p);
        _exit(0);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    free(p);
    exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* More live blocks than there are slots, and more address space than the freed ones would need. */
static void more_than_there_is_room_for(void)
{
    enum { N = 3000 };
    static char *p[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            p[i] = malloc(100);
            memset(p[i], i, 100);
        }
        for (int i = 0; i < N; i++) {
            check(filled(p[i], (char)i, 100), "contents");
            free(p[i]);
        }
    }
}

/* To the kernel a guarded block is memory like other. */
static void read_by_the_kernel(void)
{
    char *p = at_end(32);
    int fd = open("/dev/zero", O_RDONLY);
    check(read(fd, p, 32) == 32, "a read into the block");
    check(read(fd, p, 64) == 32 || errno == EFAULT, "a read past its end");
    close(fd);
    free(p);
}

static void statistics(void)
{
    enum { N = 500 };
    static char *p[N];
    tm_heap_stats_t before = {.struct_size = sizeof before}, after = before;
    tm_heap_stats(&before);
    struct mallinfo2 info = mallinfo2();
    for (int i = 0; i < N; i++)
        p[i] = memset(malloc(5000), 1, 5000);
    tm_heap_stats(&after);
    check(after.raw.live_blocks - before.raw.live_blocks == N, "blocks");
    check(after.raw.live - before.raw.live == N * 2 * (size_t)PAGE, "bytes in use");
    check(after.raw.resident - before.raw.resident == N * 2 * (size_t)PAGE, "resident bytes");
    check(mallinfo2().hblks - info.hblks == N && mallinfo2().hblkhd - info.hblkhd == N * 2 * (size_t)PAGE, "mallinfo");
    for (int i = 0; i < N; i++)
        free(p[i]);
    tm_heap_stats(&after);
    check(after.raw.live_blocks == before.raw.live_blocks && after.raw.live == before.raw.live, "after free");
}

/* How many of a million small blocks are guarded: those whose usable size is as asked for. */
static void how_many(void)
{
    int n = 0;
    for (int i = 0; i < 1000000; i++) {
        char *p = malloc(25);
        n += malloc_usable_size(p) == 25;
        free(p);
    }
    printf("%d\n", n);
}

#define CASES(X) \
    X(overflow_by_a_read) X(overflow_by_a_write) X(overflow_by_far) X(overflow_of_a_large_block) \
    X(overflow_past_the_alignment) X(underflow_by_a_read) X(underflow_by_a_write) X(canary_behind) \
    X(canary_before) X(canary_of_realloc) X(canary_of_nothing) X(read_after_free) X(write_after_free) \
    X(use_after_realloc) X(use_after_many_others) X(freed_by_another_thread) X(double_free) X(free_inside) \
    X(free_inside_misaligned) X(free_before) X(free_inside_freed) X(realloc_after_free) X(realloc_inside) \
    X(usable_size_after_free) X(free_sized_twice) X(handler_before) X(handler_with_address) X(handler_later) \
    X(handler_later_free) X(handler_jumps) X(fault_elsewhere) X(signal_sent) X(signal_sent_and_ignored) \
    X(sampled_double_free) X(sampled_double_free_of_a_large_block) X(sampled_free_inside) \
    X(sampled_realloc_after_free) X(sampled_free_by_another_thread) X(stale_free) \
    X(stale_pin_of_a_reused_index) X(sizes_and_kinds) X(threads_and_forks) X(misuse_in_a_child) \
    X(more_than_there_is_room_for) X(read_by_the_kernel) X(statistics) \
    X(how_many)

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
            void (*volatile run)(void) = cases[i].run; /* a frame of its own */
            run();
            return 0;
        }
    return 2;
}
