/* The handler of SIGSEGV. It reports an access to the region, then passes every fault on. The receiver is the handler
 * that the program had when the first block was guarded, called with its mask and flags; or the default action, which
 * ends the process at the faulting instruction, so that a core file shows it. Only the first access is reported, even
 * if the program survives it.
 *
 * A handler that the program installs later replaces this one. Accesses are then reported only if that handler calls
 * the one it replaced. What free finds is reported in any case. */
#include "os/os.h"
#include "sampling/sentry.h"

#include <errno.h>
#include <signal.h>
#include <ucontext.h>

static struct sigaction before; // the program's action; written before our handler is installed
static uint32_t caught;         // 1: our handler is installed, or is being installed

/* Where the thread was, and whether it wrote. */
typedef struct fault {
    uintptr_t pc, fp, caller; // `caller`: the return address, if the function at pc has made no frame
    const char *access;
} fault_t;

#if defined(__x86_64__)
static void read_context(const ucontext_t *c, fault_t *out)
{
    enum { WRITE = 2 }; // bit of the page fault's error code
    const greg_t *r = c->uc_mcontext.gregs;
    const uintptr_t *sp = (const uintptr_t *)(uintptr_t)r[REG_RSP];
    out->pc = (uintptr_t)r[REG_RIP];
    out->fp = (uintptr_t)r[REG_RBP];
    out->caller = tmi_os_readable(sp) ? *sp : 0;
    out->access = r[REG_ERR] & WRITE ? "write" : "read";
}
#else
/* The exception syndrome register is in a separate record behind the general registers (asm/sigcontext.h). */
static bool wrote(const mcontext_t *m)
{
    enum { ESR_MAGIC = 0x45535201, WNR = 1 << 6 };
    const unsigned char *at = (const unsigned char *)m->__reserved, *end = at + sizeof m->__reserved;
    while (at + 16 <= end) {
        uint32_t magic = ((const uint32_t *)(const void *)at)[0], size = ((const uint32_t *)(const void *)at)[1];
        if (magic == ESR_MAGIC)
            return (((const uint64_t *)(const void *)at)[1] & WNR) != 0;
        if (magic == 0 || size == 0)
            break;
        at += size;
    }
    return false;
}

static void read_context(const ucontext_t *c, fault_t *out)
{
    out->pc = (uintptr_t)c->uc_mcontext.pc;
    out->fp = (uintptr_t)c->uc_mcontext.regs[29];
    out->caller = (uintptr_t)c->uc_mcontext.regs[30];
    out->access = wrote(&c->uc_mcontext) ? "write" : "read";
}
#endif

static void report(uintptr_t address, const ucontext_t *context)
{
    tmi_trace_t here;
    fault_t fault;
    read_context(context, &fault);
    here.thread = tmi_os_gettid();
    here.depth = (uint32_t)tmi_stack_interrupted(fault.pc, fault.fp, fault.caller, here.frames);
    (void)tmi_sentry_report_access(address, fault.access, &here);
}

/* Take the default action. A fault recurs when the handler returns, since the instruction is executed again. A signal
 * that was sent by a process does not recur, so it is sent again. */
static void die(int number, const siginfo_t *info)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    (void)sigemptyset(&plain.sa_mask);
    (void)sigaction(number, &plain, NULL);
    if (info->si_code <= 0)
        (void)raise(number);
}

/* Call the program's handler as the kernel would. */
static void call_program(int number, siginfo_t *info, void *context)
{
    sigset_t mask = before.sa_mask, was;
    bool resets = (before.sa_flags & (int)SA_RESETHAND) != 0;
    void (*plain)(int) = before.sa_handler;
    void (*informed)(int, siginfo_t *, void *) = before.sa_sigaction;
    bool takes_info = (before.sa_flags & SA_SIGINFO) != 0;
    (void)pthread_sigmask(SIG_BLOCK, &mask, &was);
    if (before.sa_flags & SA_NODEFER) {
        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, number);
        (void)pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    }
    if (resets)
        before = (struct sigaction){.sa_handler = SIG_DFL};
    if (takes_info)
        informed(number, info, context);
    else
        plain(number);
    (void)pthread_sigmask(SIG_SETMASK, &was, NULL);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_code > 0 && tmi_sentry_owns(info->si_addr))
        report((uintptr_t)info->si_addr, context);
    if (!(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_IGN && info->si_code <= 0) {
        errno = saved;
        return;
    }
    bool none = !(before.sa_flags & SA_SIGINFO) && (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN);
    errno = saved;
    if (none)
        die(number, info);
    else
        call_program(number, info, context);
}

void tmi_sentry_catch_faults(void)
{
    int saved = errno;
    uint32_t no = 0;
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    if (tmi_load_relaxed(&caught) || !tmi_cas_relaxed(&caught, &no, 1)) // relaxed: one thread sets it
        return;
    (void)sigemptyset(&ours.sa_mask);
    if (sigaction(SIGSEGV, NULL, &before) == 0)
        (void)sigaction(SIGSEGV, &ours, NULL);
    errno = saved;
}
