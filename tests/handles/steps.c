/* A signal at every instruction. A thread is traced by its parent process through its whole life with handles: its
 * first use, allocation, pins, scopes, locks, resizing, free, and its end. Its handler pins, looks up in a scope, and
 * locks, which is promised at any instant.
 *
 * First one run is stepped through, to know the instructions. Then there is a run for each of them, with a breakpoint
 * there and one signal, so that it may be the handler's first use that comes in the middle of the thread's; and a run
 * with a signal at each instruction. The control's handler allocates, which is not promised: there must be an
 * instruction where that goes wrong. */
#include "objects.h"

#if defined(__x86_64__)
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

typedef struct shared {
    pid_t thread;
    unsigned handled, wrong;
} shared_t;

static shared_t *shared;
static tm_handle_t common, common_large;
enum { CROWD = 40, CROWD_SIZE = 2000 };
static tm_handle_t crowd[CROWD]; // in several slabs; so a lock moves its object first
static bool allocate_in_handler, trap_in_handler;

static void use(tm_handle_t h, size_t size, uint64_t mark)
{
    const char *p = (const char *)tm_pin(h);
    shared->wrong += !intact(p, size, mark);
    tm_scope_enter();
    shared->wrong += tm_deref(h) != p;
    tm_scope_exit();
    tm_unpin(h);
    const char *locked = (const char *)tm_lock(h);
    shared->wrong += locked == NULL || !intact(locked, size, mark);
    if (locked != NULL)
        tm_unlock(h);
}

static void handler(int unused)
{
    (void)unused;
    shared->handled++;
    use(common, 40, 1);
    use(common_large, 100000, 2);
    use(crowd[shared->handled % CROWD], CROWD_SIZE, 3);
    if (allocate_in_handler)
        for (int i = 0; i < 100; i++) {
            tm_handle_t h = tm_alloc(48);
            fill_object(h, 48, 7);
            tm_free(h);
        }
    if (trap_in_handler)
        __asm__ volatile("int3");
}

static void *live(void *unused)
{
    tm_handle_t own[3];
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    shared->thread = (pid_t)syscall(SYS_gettid);
    (void)syscall(SYS_tgkill, getpid(), shared->thread, SIGSTOP);
    use(common, 40, 1);
    use(crowd[0], CROWD_SIZE, 3);
    tm_free(tm_alloc(CROWD_SIZE));
    for (size_t i = 0; i < 3; i++) {
        own[i] = tm_alloc(48);
        fill_object(own[i], 48, 10 + i);
    }
    shared->wrong += tm_realloc(own[1], 400) != own[1] || !object_intact(own[1], 48, 11);
    tm_free(own[0]);
    use(own[2], 48, 12);
    unsigned mark = tm_pin_mark();
    (void)tm_pin(own[2]);
    tm_pin_reset(mark);
    shared->wrong += tm_sizeof(own[2]) < 48 || !tm_check(own[2], 48);
    tm_free(tm_alloc_aligned(256, 300));
    tm_free(own[2]);
    tm_free(own[1]);
    return unused;
}

/* The process whose second thread is stepped. */
static _Noreturn void child(void)
{
    pthread_t t;
    struct sigaction a = {.sa_handler = handler};
    (void)alarm(allocate_in_handler ? 2 : trap_in_handler ? 200 : 20); // steps are slow
    (void)sigaction(SIGUSR1, &a, NULL);
    common = tm_alloc(40);
    fill_object(common, 40, 1);
    common_large = tm_alloc(100000);
    fill_object(common_large, 100000, 2);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = tm_alloc(CROWD_SIZE);
        fill_object(crowd[i], CROWD_SIZE, 3);
    }
    if (pthread_create(&t, NULL, live, NULL) != 0 || pthread_join(t, NULL) != 0)
        _exit(2);
    use(common, 40, 1);
    for (int i = 0; i < CROWD; i++) {
        shared->wrong += !object_intact(crowd[i], CROWD_SIZE, 3);
        tm_free(crowd[i]);
    }
    tm_free(common); // aborts if a handler's lock is left
    tm_free(common_large);
    tm_handle_t after = tm_alloc(48);
    tm_free(after);
    _exit(shared->wrong == 0 ? 0 : 1);
}

/* Whether the first thread of the process waits in the kernel, for the other one's end. Before that it could run into a
 * breakpoint meant for that one. */
static bool main_waits(pid_t pid)
{
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, pid);
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    if (f != NULL)
        (void)fclose(f);
    const char *state = n > 0 ? strrchr(text, ')') : NULL; // after the name
    return state != NULL && state[2] == 'S';
}

static pid_t begin(void)
{
    int status;
    shared->thread = 0;
    shared->handled = shared->wrong = 0;
    pid_t pid = fork();
    if (pid == 0)
        child();
    while (__atomic_load_n(&shared->thread, __ATOMIC_ACQUIRE) == 0)
        if (waitpid(pid, &status, WNOHANG) != 0)
            return -1;
    if (waitpid(shared->thread, &status, __WALL) != shared->thread || !WIFSTOPPED(status))
        return -1;
    while (!main_waits(pid))
        (void)usleep(20);
    return pid;
}

/* One step, delivering `sig` first. False: the thread has ended. */
static bool step(long request, int sig, int *status)
{
    return ptrace((enum __ptrace_request)request, shared->thread, NULL, (void *)(long)sig) == 0 &&
           waitpid(shared->thread, status, __WALL) == shared->thread && WIFSTOPPED(*status);
}

/* ---- the instructions of the library and of this program ----------------------------------------------------- */

enum { MOST = 20000 };
static uintptr_t code_from[2], code_to[2];
static uintptr_t instructions[MOST];
static size_t ninstructions;

static void find_code(void)
{
    char line[512];
    const char *names[] = {"libtinymem.so", "/steps"};
    FILE *f = fopen("/proc/self/maps", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        for (size_t i = 0; i < 2; i++)
            if (strstr(line, names[i]) != NULL && strstr(line, " r-xp ") != NULL)
                (void)sscanf(line, "%lx-%lx", &code_from[i], &code_to[i]);
    if (f != NULL)
        (void)fclose(f);
}

static bool is_code(uintptr_t p)
{
    return (p >= code_from[0] && p < code_to[0]) || (p >= code_from[1] && p < code_to[1]);
}

static uintptr_t here(void)
{
    struct user_regs_struct r;
    return ptrace(PTRACE_GETREGS, shared->thread, NULL, &r) == 0 ? (uintptr_t)r.rip : 0;
}

static int by_value(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static bool find_instructions(void)
{
    static uintptr_t all[400000];
    size_t n = 0;
    int status = 0;
    pid_t pid = begin();
    while (pid > 0 && n < sizeof all / sizeof *all && step(PTRACE_SINGLESTEP, 0, &status))
        if (is_code(here()))
            all[n++] = here();
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 0; i < n && ninstructions < MOST; i++)
        if (i == 0 || all[i] != all[i - 1])
            instructions[ninstructions++] = all[i];
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- one signal ---------------------------------------------------------------------------------------------- */

static void put_back(uintptr_t at, long word)
{
    struct user_regs_struct r;
    (void)ptrace(PTRACE_POKETEXT, shared->thread, at, word);
    if (ptrace(PTRACE_GETREGS, shared->thread, NULL, &r) == 0 && r.rip == at + 1) {
        r.rip = at;
        (void)ptrace(PTRACE_SETREGS, shared->thread, NULL, &r);
    }
}

static uintptr_t ended_at; // where the thread was when the process ended

/* When the thread first comes to `at`. Returns the child's status. */
static int one_signal(uintptr_t at)
{
    int status = 0;
    pid_t pid = begin();
    if (pid < 0)
        return -1;
    long word = ptrace(PTRACE_PEEKTEXT, shared->thread, at, NULL);
    // then at the latest the breakpoint goes: the main thread would die of it
    (void)ptrace(PTRACE_SETOPTIONS, shared->thread, NULL, PTRACE_O_TRACEEXIT);
    (void)ptrace(PTRACE_POKETEXT, shared->thread, at, (word & ~0xffL) | 0xcc);
    bool alive = step(PTRACE_CONT, 0, &status);
    if (alive) {
        bool hit = status >> 8 == SIGTRAP;
        put_back(at, word);
        alive = step(PTRACE_CONT, hit ? SIGUSR1 : 0, &status);
    }
    while (alive) {
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
            ended_at = here();
        alive = step(PTRACE_CONT, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status), &status);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* True when all goes well at each of them. */
static bool one_at_each(size_t stride, unsigned *handled)
{
    *handled = 0;
    for (size_t i = 0; i < ninstructions; i += stride) {
        int status = one_signal(instructions[i]);
        *handled += shared->handled;
        if (status != 0) {
            printf("# status %x at instruction %zu, %#lx of the library; the thread was at %#lx\n", (unsigned)status, i,
                   instructions[i] - code_from[0], ended_at - code_from[0]);
            return false;
        }
    }
    return true;
}

/* ---- signals all along --------------------------------------------------------------------------------------- */

/* The handler at the instruction that comes next, and back. */
static bool interrupt(int *status)
{
    struct user_regs_struct before, now;
    if (ptrace(PTRACE_GETREGS, shared->thread, NULL, &before) != 0 || !step(PTRACE_CONT, SIGUSR1, status))
        return false;
    do { // from int3 to the end of the handler, its return, and where it came from
        if (!step(PTRACE_SINGLESTEP, 0, status) || ptrace(PTRACE_GETREGS, shared->thread, NULL, &now) != 0)
            return false;
    } while (now.rip != before.rip || now.rsp != before.rsp);
    return true;
}

/* While libc has signals blocked, at the thread's end, none is delivered: the thread runs on to its end. */
static int signals_all_along(unsigned *handled)
{
    int status = 0;
    bool alive = true;
    trap_in_handler = true;
    pid_t pid = begin();
    while (pid > 0 && alive)
        alive = (!is_code(here()) || interrupt(&status)) && step(PTRACE_SINGLESTEP, 0, &status);
    *handled = shared->handled;
    trap_in_handler = false;
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

int main(void)
{
    unsigned handled;
    shared = (shared_t *)mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    find_code();
    bool found = find_instructions();
    tap(found && ninstructions > 500, "a thread's life with handles: %zu instructions", ninstructions);
    bool good = one_at_each(1, &handled);
    tap(good && handled > ninstructions / 2, "a signal at each of them, in a run of its own: %u signals", handled);
    int status = signals_all_along(&handled);
    tap(status == 0 && handled > ninstructions, "a signal at each of them in one run: %u signals", handled);
    if (status != 0)
        printf("# status %x, %u wrong\n", (unsigned)status, shared->wrong);
    allocate_in_handler = true;
    tap(!one_at_each(7, &handled), "control: a handler that allocates goes wrong somewhere");
    return tap_done();
}
#else
int main(void)
{
    tap_skip("a signal after every instruction", "single steps are written for x86-64");
    return tap_done();
}
#endif
