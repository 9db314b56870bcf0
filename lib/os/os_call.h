/* os_call.h - system calls without libc.
 *
 * Other libraries interpose libc's mmap, madvise, clock_gettime and so on, and may allocate in them. We make these
 * calls under locks and during start-up, where an allocation would never return. So libc is bypassed: the system call
 * instruction itself is here. The result is the kernel's: a value, or minus an errno. errno is not touched, and none of
 * these calls is a cancellation point. */
#ifndef TMI_OS_OS_CALL_H
#define TMI_OS_OS_CALL_H

#include <stdint.h>
#include <sys/syscall.h>

typedef struct tmi_call {
    long number, a, b, c, d, e, f;
} tmi_call_t;

static inline long tmi_call_kernel(tmi_call_t call)
{
#if defined(__x86_64__)
    long result, number = call.number, a = call.a, b = call.b, c = call.c, fourth = call.d, fifth = call.e,
                 sixth = call.f;
    register long d __asm__("r10") = fourth; // from locals: a sanitizer's call in between would change the registers
    register long e __asm__("r8") = fifth;
    register long f __asm__("r9") = sixth;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e), "r"(f)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    long nr = call.number, first = call.a, second = call.b, third = call.c, fourth = call.d, fifth = call.e,
         sixth = call.f;
    register long number __asm__("x8") = nr; // from locals: a sanitizer's call in between would change the registers
    register long a __asm__("x0") = first;
    register long b __asm__("x1") = second;
    register long c __asm__("x2") = third;
    register long d __asm__("x3") = fourth;
    register long e __asm__("x4") = fifth;
    register long f __asm__("x5") = sixth;
    __asm__ volatile("svc #0" : "+r"(a) : "r"(number), "r"(b), "r"(c), "r"(d), "r"(e), "r"(f) : "memory");
    return a;
#else
#error "system calls are written for x86-64 and arm64"
#endif
}

#if TMI_TEST_HOOKS
/* For tests: answers instead of the kernel. NULL: the kernel answers. Set before the first call. */
extern long (*tmi_other_kernel)(tmi_call_t call);
static inline long tmi_call_made(tmi_call_t call)
{
    return tmi_other_kernel != NULL ? tmi_other_kernel(call) : tmi_call_kernel(call);
}
#else
static inline long tmi_call_made(tmi_call_t call) { return tmi_call_kernel(call); }
#endif

/* tmi_call(SYS_name, arguments...): at most six, each as a long. */
#define tmi_call(...) TMI_CALL_PADDED(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define TMI_CALL_PADDED(number, a, b, c, d, e, f, ...) tmi_call_made((tmi_call_t){number, a, b, c, d, e, f})

/* Pointers as arguments. */
static inline long tmi_arg(const volatile void *p) { return (long)(intptr_t)p; }

/* 0, or the errno of a result. */
static inline int tmi_call_errno(long result) { return (unsigned long)result > -4096ul ? (int)-result : 0; }

#endif
