/* dlopen.c - dlopen and dlmopen without RTLD_DEEPBIND.
 *
 * A library that is opened with this flag finds libc's malloc and free before ours. It then passes our blocks to libc's
 * free, and crashes. Debian's php opens its extensions in this way. The flag makes the library's own definitions come
 * first, which a library without a malloc of its own does not need.
 *
 * The dynamic linker examines its caller: RUNPATH, $ORIGIN and the namespace are those of the calling library. So a
 * wrapper must not call the real function, but jump to it with the stack unchanged. dlmopen keeps the flag in other
 * namespaces, where malloc is not ours anyway. */
#include "preload.h"

enum { DLOPEN, DLMOPEN };

/* The definitions after ours; looked up by the first call. */
__attribute__((visibility("hidden"), used)) void *tmi_next_dlopen[2];

__attribute__((visibility("hidden"), used)) void tmi_find_next_dlopen(void);
/* For a program without a dynamic linker, where nothing can be opened. Stands for both functions, since it reads no
 * argument. */
static void *open_nothing(void) { return NULL; }

static void find(int which, const char *name)
{
    void *next = tmi_next_symbol(name);
    // relaxed: all threads find the same function
    tmi_store_relaxed(&tmi_next_dlopen[which], next != NULL ? next : (void *)open_nothing);
}

void tmi_find_next_dlopen(void)
{
    find(DLMOPEN, "dlmopen");
    find(DLOPEN, "dlopen");
}

#if defined(__x86_64__)
/* %rsi, or for dlmopen %rdx with the namespace in %rdi, holds the flags; 8 is RTLD_DEEPBIND. */
__asm__(".text\n"
        ".macro tmi_go_on place\n"
        "    mov tmi_next_dlopen+\\place(%rip), %rax\n"
        "    test %rax, %rax\n"
        "    jne 2f\n"
        "    push %rdi\n"
        "    push %rsi\n"
        "    push %rdx\n" // with the return address the stack is aligned to 16 bytes
        "    call tmi_find_next_dlopen\n"
        "    pop %rdx\n"
        "    pop %rsi\n"
        "    pop %rdi\n"
        "    mov tmi_next_dlopen+\\place(%rip), %rax\n"
        "2:  jmp *%rax\n"
        ".endm\n"
        ".globl dlopen\n.type dlopen, @function\n"
        "dlopen:\n"
        "    endbr64\n"
        "    and $~8, %esi\n"
        "    tmi_go_on 0\n"
        ".size dlopen, .-dlopen\n"
        ".globl dlmopen\n.type dlmopen, @function\n"
        "dlmopen:\n"
        "    endbr64\n"
        "    test %rdi, %rdi\n"
        "    jne 1f\n"
        "    and $~8, %edx\n"
        "1:  tmi_go_on 8\n"
        ".size dlmopen, .-dlmopen\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".macro tmi_go_on place\n"
        "    adrp x16, tmi_next_dlopen+\\place\n"
        "    ldr x16, [x16, :lo12:tmi_next_dlopen+\\place]\n"
        "    cbnz x16, 2f\n"
        "    stp x29, x30, [sp, #-48]!\n"
        "    stp x0, x1, [sp, #16]\n"
        "    str x2, [sp, #32]\n"
        "    bl tmi_find_next_dlopen\n"
        "    ldr x2, [sp, #32]\n"
        "    ldp x0, x1, [sp, #16]\n"
        "    ldp x29, x30, [sp], #48\n"
        "    adrp x16, tmi_next_dlopen+\\place\n"
        "    ldr x16, [x16, :lo12:tmi_next_dlopen+\\place]\n"
        "2:  br x16\n"
        ".endm\n"
        ".globl dlopen\n.type dlopen, %function\n"
        "dlopen:\n"
        "    hint #34\n"
        "    and w1, w1, #0xfffffff7\n"
        "    tmi_go_on 0\n"
        ".size dlopen, .-dlopen\n"
        ".globl dlmopen\n.type dlmopen, %function\n"
        "dlmopen:\n"
        "    hint #34\n"
        "    cbnz x0, 1f\n"
        "    and w2, w2, #0xfffffff7\n"
        "1:  tmi_go_on 8\n"
        ".size dlmopen, .-dlmopen\n");
#endif
