/* Signals of the process. Unlike the other files here this one calls libc. libc knows how a handler returns, and a
 * runtime that chains signal handlers interposes libc's function on purpose. Called at start, without locks. */
#include "os/os.h"

#include <errno.h>
#include <signal.h>

/* Signals that report a fault. We must not decide what the program does after one. */
static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL || number == SIGTRAP ||
           number == SIGABRT || number == SIGSYS;
}

int tmi_os_on_signal(int number, void (*handler)(int))
{
    int saved = errno, err = 0;
    struct sigaction ours = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK}, set;
    (void)sigemptyset(&ours.sa_mask);
    if (is_fault(number) || sigaction(number, NULL, &set) != 0)
        err = EINVAL;
    else if ((set.sa_flags & SA_SIGINFO) != 0 || set.sa_handler != SIG_DFL)
        err = EBUSY;
    else if (sigaction(number, &ours, NULL) != 0)
        err = EINVAL;
    errno = saved;
    return err;
}
