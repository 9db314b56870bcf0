/* Checks of a program that is not running, by its file. */
#include "doctor.h"
#include "target.h"
#include "tool.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef struct file {
    char path[PATH_MAX];
    char interpreter[256];
    char head[PATH_MAX]; // its first bytes
    size_t nhead;
    bool elf, elf64, executable;
} file_t;

static bool find_file(const char *name, char *to, size_t size)
{
    struct stat st;
    if (strchr(name, '/') == NULL)
        return tool_in_path(name, to, size);
    return (size_t)snprintf(to, size, "%s", name) < size && stat(to, &st) == 0 && !S_ISDIR(st.st_mode);
}

static void read_headers(file_t *f, int fd)
{
    const Elf64_Ehdr *e = (const void *)f->head;
    Elf64_Phdr h;
    for (unsigned i = 0; i < e->e_phnum && i < 64; i++) {
        if (pread(fd, &h, sizeof h, (off_t)(e->e_phoff + i * sizeof h)) != (ssize_t)sizeof h)
            return;
        if (h.p_type == PT_INTERP)
            (void)!pread(fd, f->interpreter, tmi_min(sizeof f->interpreter - 1, h.p_filesz), (off_t)h.p_offset);
    }
}

static bool open_file(file_t *f, const char *name)
{
    if (!find_file(name, f->path, sizeof f->path))
        return false;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    f->executable = access(f->path, X_OK) == 0;
    f->interpreter[0] = '\0';
    ssize_t n = fd < 0 ? 0 : read(fd, f->head, sizeof f->head - 1);
    f->nhead = n > 0 ? (size_t)n : 0;
    f->head[f->nhead] = '\0';
    f->elf = f->nhead >= sizeof(Elf64_Ehdr) && memcmp(f->head, ELFMAG, SELFMAG) == 0;
    f->elf64 = f->elf && f->head[EI_CLASS] == ELFCLASS64;
    if (f->elf64)
        read_headers(f, fd);
    if (fd >= 0)
        close(fd);
    return true;
}

/* The interpreter of a script. False: the file is no script. */
static bool script_program(const file_t *f, char *to, size_t size)
{
    char line[PATH_MAX], *save = NULL;
    if (f->nhead < 3 || f->head[0] != '#' || f->head[1] != '!')
        return false;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(f->head + 2, "\n"), f->head + 2);
    const char *program = strtok_r(line, " \t", &save), *slash = program != NULL ? strrchr(program, '/') : NULL;
    if (slash != NULL && strcmp(slash, "/env") == 0) {
        do
            program = strtok_r(NULL, " \t", &save);
        while (program != NULL && (program[0] == '-' || strchr(program, '=') != NULL));
    }
    snprintf(to, size, "%s", program != NULL ? program : "");
    return program != NULL;
}

static void say_privileges(const file_t *f)
{
    struct stat st;
    if (stat(f->path, &st) != 0)
        return;
    bool set = (st.st_mode & (S_ISUID | S_ISGID)) != 0;
    if (set || getxattr(f->path, "security.capability", NULL, 0) > 0)
        doctor_say(FOUND_WARN, "privileges", set ? "set-user-ID or set-group-ID" : "file capabilities",
                   "the dynamic linker ignores LD_PRELOAD with a path, and tinymem its options");
    else
        doctor_say(FOUND_OK, "privileges", "none of its own", "LD_PRELOAD is honoured");
}

static bool file_has(void *context, const char *symbol)
{
    bool fixed;
    return elf_file_symbol(context, symbol, &fixed) != 0;
}

/* The program's libraries, as listed by the dynamic linker, which runs no code of the program. */
static void say_libraries(const file_t *f)
{
    char *line = NULL;
    size_t size = 0;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return;
    pid_t child = vfork();
    if (child == 0) {
        (void)dup2(fds[1], 1);
        (void)execl(f->interpreter, f->interpreter, "--list", f->path, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *list = fdopen(fds[0], "r");
    while (list != NULL && getline(&line, &size, list) > 0) {
        const char *name = line + strspn(line, " \t");
        line[strcspn(line, "\n")] = '\0';
        const char *allocator = doctor_allocator_library(name);
        if (allocator != NULL)
            doctor_say(FOUND_NOTE, "other allocator", allocator,
                       "a library that it needs; a preload comes before it, and serves malloc");
        if (strncmp(name, "libtinymem", 10) == 0)
            doctor_say(FOUND_OK, "tinymem", name, "it is linked with it");
    }
    if (list != NULL)
        fclose(list);
    free(line);
    (void)waitpid(child, NULL, 0);
}

static void say_symbols(const file_t *f)
{
    const char *allocator = doctor_allocator(file_has, (void *)(uintptr_t)f->path);
    bool own = file_has((void *)(uintptr_t)f->path, "malloc"),
         ours = file_has((void *)(uintptr_t)f->path, "tm_layout_");
    if (ours)
        doctor_say(FOUND_OK, "tinymem", "linked in", "it runs on tinymem without a preload");
    else if (allocator != NULL)
        doctor_sayf(FOUND_WARN, "other allocator", "what it allocates by that is not tinymem's", "%s%s, linked in",
                    allocator, own ? " as malloc" : "");
    else if (own && f->interpreter[0] != '\0')
        doctor_say(FOUND_WARN, "malloc", "of its own", "calls inside the program may not reach tinymem");
}

static void say_elf(const file_t *f)
{
    say_privileges(f);
    if (!f->elf64) {
        doctor_say(FOUND_WARN, "linking", "32-bit", "tinymem is for 64-bit programs");
        return;
    }
    if (f->interpreter[0] == '\0')
        doctor_say(FOUND_WARN, "linking", "static", "a preload does not reach it: link libtinymem.a into it");
    else if (strstr(f->interpreter, "ld-musl") != NULL)
        doctor_say(FOUND_WARN, "linking", "dynamic, musl",
                   "libtinymem.so needs glibc; the movable heap alone works (libtinymem-handles)");
    else
        doctor_say(FOUND_OK, "linking", "dynamic", "a preload reaches it");
    say_symbols(f);
    if (f->interpreter[0] != '\0')
        say_libraries(f);
}

void doctor_program(const char *name)
{
    static file_t f;
    char next[PATH_MAX], about[PATH_MAX + 16];
    for (unsigned depth = 0; depth < 4; depth++) {
        if (!open_file(&f, name))
            tool_fail("%s: command not found", name);
        snprintf(about, sizeof about, "the program %s", f.path);
        doctor_about(about);
        if (!f.executable)
            doctor_say(FOUND_WARN, "file", "not executable", "it cannot be run");
        if (f.elf) {
            say_elf(&f);
            return;
        }
        if (!script_program(&f, next, sizeof next)) {
            doctor_say(FOUND_WARN, "file", "neither ELF nor a script", "what runs it decides");
            return;
        }
        doctor_say(FOUND_OK, "file", "a script", "its program decides");
        name = next;
    }
}
