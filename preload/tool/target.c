/* Finding a process and the library in it, reading its memory, and explaining why that is not permitted. */
#include "target.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYMBOL "tm_layout_"

/* ---- files of /proc ------------------------------------------------------------------------------------------ */

char *tool_read_all(int fd)
{
    size_t size = 4096, n = 0;
    char *text = tool_alloc(size);
    for (ssize_t got; (got = read(fd, text + n, size - n - 1)) > 0;) {
        n += (size_t)got;
        if (size - n < 2) {
            text = realloc(text, size *= 2);
            if (text == NULL)
                tool_fail("no memory: %zu bytes", size);
        }
    }
    text[n] = '\0';
    return text;
}

static int open_proc(pid_t pid, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

char *target_file(pid_t pid, const char *name)
{
    int fd = open_proc(pid, name);
    if (fd < 0)
        return tool_alloc(1);
    char *text = tool_read_all(fd);
    close(fd);
    return text;
}

bool target_field(const char *text, const char *name, size_t *value)
{
    size_t length = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        char *end;
        *value = strtoul(line + length + 1, &end, 10);
        if (strncmp(end, " kB", 3) == 0)
            *value *= 1024;
        return end != line + length + 1;
    }
    return false;
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

/* The state of the process, the letter in /proc/PID/stat; X if it has ended. */
static char state_of(const target_t *t)
{
    char *stat = target_file(t->pid, "stat");
    const char *name_end = strrchr(stat, ')');
    char state = name_end != NULL && name_end[1] == ' ' ? name_end[2] : 'X';
    free(stat);
    return state;
}

bool target_alive(const target_t *t) { return strchr("ZXx", state_of(t)) == NULL; }

bool target_stopped(const target_t *t) { return strchr("Tt", state_of(t)) != NULL; }

static void require_alive(const target_t *t)
{
    if (!target_alive(t))
        tool_fail("process %d has ended", (int)t->pid);
}

bool target_read(const target_t *t, uintptr_t from, void *to, size_t nbytes)
{
    size_t done = 0;
    while (done < nbytes) {
        struct iovec here = {(char *)to + done, nbytes - done};
        struct iovec there = {(void *)(from + done), nbytes - done}; // NOLINT: an address there
        ssize_t got = process_vm_readv(t->pid, &here, 1, &there, 1, 0);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done == nbytes)
        return true;
    if (errno != EFAULT)
        require_alive(t);
    memset((char *)to + done, 0, nbytes - done);
    return false;
}

enum { MANY = 512 };

/* Read up to n pieces. The kernel stops at the first piece that it cannot read, so the call is repeated behind it. */
static void read_some(const target_t *t, const struct iovec *pieces, void *const *to, bool *ok, size_t n)
{
    struct iovec here[MANY];
    for (size_t i = 0; i < n; i++)
        here[i] = (struct iovec){to[i], pieces[i].iov_len};
    for (size_t i = 0; i < n;) {
        ssize_t got = process_vm_readv(t->pid, here + i, n - i, pieces + i, n - i, 0);
        if (got < 0 && errno != EFAULT)
            require_alive(t);
        size_t left = got > 0 ? (size_t)got : 0;
        for (; i < n && left >= pieces[i].iov_len; i++) {
            left -= pieces[i].iov_len;
            ok[i] = true;
        }
        if (i < n) {
            ok[i] = false;
            memset(to[i], 0, pieces[i].iov_len);
            i++;
        }
    }
}

void target_read_many(const target_t *t, const struct iovec *pieces, void *const *to, bool *ok, size_t n)
{
    for (size_t i = 0; i < n; i += MANY)
        read_some(t, pieces + i, to + i, ok + i, tmi_min(MANY, n - i));
}

/* The number of leading entries whose pages are all present or all absent; *present tells which. */
static size_t alike(const uint64_t *entries, size_t n, bool *present)
{
    const uint64_t there = (uint64_t)3 << 62; // resident, or swapped out
    size_t i = 1;
    *present = (entries[0] & there) != 0;
    while (i < n && ((entries[i] & there) != 0) == *present)
        i++;
    return i;
}

static void read_pages(const target_t *t, uintptr_t from, char *to, size_t nbytes, const uint64_t *entries, size_t n)
{
    uintptr_t page = tmi_round_down(from, t->page_size), end = from + nbytes;
    for (size_t i = 0; i < n;) {
        bool present;
        size_t run = alike(entries + i, n - i, &present);
        uintptr_t first = page + i * t->page_size, last = first + run * t->page_size;
        first = first > from ? first : from;
        last = last < end ? last : end;
        if (present)
            (void)target_read(t, first, to + (first - from), last - first);
        else
            memset(to + (first - from), 0, last - first);
        i += run;
    }
}

void target_read_present(const target_t *t, uintptr_t from, void *to, size_t nbytes)
{
    enum { AT_ONCE = 2048 };
    uint64_t entries[AT_ONCE];
    for (size_t done = 0; done < nbytes;) {
        uintptr_t at = from + done, page = tmi_round_down(at, t->page_size);
        size_t n = tmi_min(AT_ONCE * t->page_size - (at - page), nbytes - done);
        size_t pages = (at + n - 1 - page) / t->page_size + 1;
        ssize_t wanted = (ssize_t)(pages * sizeof entries[0]);
        off_t offset = (off_t)(page / t->page_size * sizeof entries[0]);
        if (t->pagemap >= 0 && pread(t->pagemap, entries, (size_t)wanted, offset) == wanted)
            read_pages(t, at, (char *)to + done, n, entries, pages);
        else
            (void)target_read(t, at, (char *)to + done, n);
        done += n;
    }
}

bool target_write(const target_t *t, uintptr_t to, const void *from, size_t nbytes)
{
    struct iovec here = {(void *)(uintptr_t)from, nbytes};
    struct iovec there = {(void *)to, nbytes}; // NOLINT: an address of the other process
    return process_vm_writev(t->pid, &here, 1, &there, 1, 0) == (ssize_t)nbytes;
}

/* ---- permission ---------------------------------------------------------------------------------------------- */

static const char *user_name(uid_t uid)
{
    static char text[64];
    const struct passwd *p = getpwuid(uid);
    if (p != NULL)
        snprintf(text, sizeof text, "%s", p->pw_name);
    else
        snprintf(text, sizeof text, "%u", (unsigned)uid);
    return text;
}

static int ptrace_scope(void)
{
    int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    char text[8] = "";
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? atoi(text) : 0;
}

/* The user of the process, from its status: /proc/PID itself may belong to root if the process has privileges. */
static uid_t owner_of(const target_t *t)
{
    char *status = target_file(t->pid, "status");
    size_t uid = geteuid();
    (void)target_field(status, "Uid", &uid);
    free(status);
    return (uid_t)uid;
}

static _Noreturn void refuse(const target_t *t)
{
    int pid = (int)t->pid, scope = ptrace_scope();
    uid_t owner = owner_of(t);
    require_alive(t);
    if (owner != geteuid() && geteuid() != 0)
        tool_fail("no right to look into process %d: it runs as %s; do so as that user, or as root", pid,
                  user_name(owner));
    if (scope >= 3)
        tool_fail("no right to look into process %d: the kernel forbids it to all (kernel.yama.ptrace_scope is %d)",
                  pid, scope);
    if (scope > 0 && geteuid() != 0)
        tool_fail(
            "no right to look into process %d: the kernel allows it to root only (kernel.yama.ptrace_scope is %d)", pid,
            scope);
    tool_fail("no right to look into process %d: it has other privileges than this one, or the container forbids it "
              "(it takes CAP_SYS_PTRACE)",
              pid);
}

static void find_process(target_t *t)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d", (int)t->pid);
    if (stat("/proc/self", &st) != 0)
        tool_fail("/proc is not mounted: no process can be looked at");
    if (stat(path, &st) != 0)
        tool_fail("there is no process %d", (int)t->pid);
    char *name = target_file(t->pid, "comm");
    snprintf(t->name, sizeof t->name, "%.*s", (int)strcspn(name, "\n"), name);
    free(name);
    require_alive(t);
}

/* ---- the library --------------------------------------------------------------------------------------------- */

typedef struct module {
    uintptr_t base;
    char *path;
    int rank; // modules with a lower rank are searched first
} module_t;

typedef struct modules {
    module_t *list;
    size_t n;
} modules_t;

static int rank_of(const char *path, const char *program)
{
    const char *file = strrchr(path, '/') + 1;
    if (strncmp(file, "libtinymem", 10) == 0)
        return strncmp(file + 10, "-handles", 8) == 0 ? 1 : 0;
    return strcmp(path, program) == 0 ? 2 : 3;
}

static void add_module(modules_t *m, char *line, const char *program)
{
    unsigned long from, to, offset, inode;
    char rights[5];
    int at = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %lu %n", &from, &to, rights, &offset, &inode, &at) < 5 || line[at] != '/')
        return;
    if (offset != 0 || rights[0] != 'r' || inode == 0)
        return;
    m->list = realloc(m->list, (m->n + 1) * sizeof *m->list);
    char *path = strdup(line + at);
    if (m->list == NULL || path == NULL)
        tool_fail("no memory");
    m->list[m->n++] = (module_t){from, path, rank_of(path, program)};
}

static int by_rank(const void *a, const void *b)
{
    const module_t *x = a, *y = b;
    return x->rank != y->rank ? x->rank - y->rank : x->base < y->base ? -1 : x->base > y->base;
}

static modules_t find_modules(const target_t *t)
{
    char link[64], program[PATH_MAX] = "", *save = NULL;
    modules_t m = {NULL, 0};
    int fd = open_proc(t->pid, "maps");
    if (fd < 0)
        refuse(t);
    errno = 0;
    char *text = tool_read_all(fd);
    close(fd);
    snprintf(link, sizeof link, "/proc/%d/exe", (int)t->pid);
    if (readlink(link, program, sizeof program - 1) < 0 && errno == EACCES)
        refuse(t);
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        add_module(&m, line, program);
    free(text);
    if (m.n == 0 && program[0] == '\0')
        tool_fail("process %d (%s) has no memory of its own: it is a thread of the kernel, or is ending", (int)t->pid,
                  t->name);
    if (m.n > 0)
        qsort(m.list, m.n, sizeof *m.list, by_rank);
    return m;
}

static uintptr_t look_in(const target_t *t, const module_t *m)
{
    char path[64];
    bool fixed = false;
    uintptr_t found = elf_dynamic_symbol(t, m->base, SYMBOL);
    if (found != 0 || m->rank != 2)
        return found;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)t->pid);
    found = elf_file_symbol(path, SYMBOL, &fixed);
    return found == 0 || fixed ? found : m->base + found;
}

static _Noreturn void no_library(const target_t *t, const char *which)
{
    if (which != NULL)
        tool_fail("process %d (%s) has no tinymem in a file with \"%s\" in its path", (int)t->pid, t->name, which);
    if (t->file[0] != '\0')
        tool_fail("%s in process %d (%s) says nothing of its records: it is older than this tool", t->file,
                  (int)t->pid, t->name);
    tool_fail(
        "process %d (%s) does not run on tinymem: none of its libraries is tinymem, and its program has no symbol %s",
        (int)t->pid, t->name, SYMBOL);
}

/* The address of tm_layout_ in the process, or 0. t->file becomes the file that defines it; if none does, a file with
 * the library's name, if there is one. */
static uintptr_t find_layout(target_t *t, const char *which)
{
    modules_t m = find_modules(t);
    uintptr_t layout = 0;
    for (size_t i = 0; i < m.n; i++) {
        if (m.list[i].rank > 2 && layout != 0)
            break; // other libraries are searched only if nothing was found so far
        uintptr_t found = which == NULL || strstr(m.list[i].path, which) != NULL ? look_in(t, &m.list[i]) : 0;
        if (found == 0)
            continue;
        t->libraries++;
        if (layout == 0)
            snprintf(t->file, sizeof t->file, "%s", m.list[i].path);
        layout = layout != 0 ? layout : found;
    }
    if (layout == 0 && m.n > 0 && m.list[0].rank < 2)
        snprintf(t->file, sizeof t->file, "%s", m.list[0].path);
    for (size_t i = 0; i < m.n; i++)
        free(m.list[i].path);
    free(m.list);
    return layout;
}

/* Take the addresses of the records from tm_layout_. Returns NULL, or the reason why the records cannot be read. */
static const char *enter_layout(target_t *t, uintptr_t layout)
{
    static char why[160];
    struct {
        tmi_layout_head_t head;
        int32_t distances[TMI_PLACES];
    } said;
    if (!target_read(t, layout, &said.head, sizeof said.head) || memcmp(said.head.mark, TMI_LAYOUT_MARK, 8) != 0)
        return "has a symbol " SYMBOL " that is something else";
    if (said.head.version != TMI_LAYOUT) {
        snprintf(why, sizeof why, "keeps its records in layout %u, this tool (version %s) reads layout %d",
                 said.head.version, TMI_VERSION, TMI_LAYOUT);
        return why;
    }
    if (said.head.count != TMI_PLACES || !target_read(t, layout, &said, sizeof said) ||
        !target_read(t, layout + (uintptr_t)(intptr_t)said.distances[0], &t->facts, sizeof t->facts))
        return "was built otherwise than this tool";
    if (t->facts.check != tmi_layout_facts.check)
        return "was built otherwise than this tool: one of them for checking";
    if (t->facts.stamp != tmi_layout_facts.stamp)
        return "was built otherwise than this tool: its records have other sizes";
    for (unsigned i = 0; i < TMI_PLACES; i++)
        t->place[i] = layout + (uintptr_t)(intptr_t)said.distances[i];
    t->facts.version[sizeof t->facts.version - 1] = '\0';
    return NULL;
}

static void read_layout(target_t *t, uintptr_t layout)
{
    const char *why = enter_layout(t, layout);
    if (why != NULL)
        tool_fail("%s in process %d %s: use the tool that came with that library", t->file, (int)t->pid, why);
}

/* Find the process and make sure that its memory may be read. */
static void open_process(target_t *t, const char *command, const char *number)
{
    char probe;
    *t = (target_t){.pid = (pid_t)tool_number(command, "a process number", number, INT_MAX), .pagemap = -1};
    t->page_size = (size_t)sysconf(_SC_PAGESIZE);
    if (t->pid == 0)
        tool_misused(command, "0 is not a process number");
    find_process(t);
    struct iovec here = {&probe, 1},
                 there = {(void *)t->page_size, 1}; // an unmapped address: EFAULT if reading is permitted
    if (process_vm_readv(t->pid, &here, 1, &there, 1, 0) < 0 && errno != EFAULT) {
        if (errno == ENOSYS)
            tool_fail("this kernel has no process_vm_readv: no process can be looked at");
        require_alive(t);
        if (errno == EPERM || errno == EACCES)
            refuse(t);
    }
    t->pagemap = open_proc(t->pid, "pagemap");
}

void target_open(target_t *t, const char *command, const char *number, const char *which)
{
    open_process(t, command, number);
    uintptr_t layout = find_layout(t, which);
    if (layout == 0)
        no_library(t, which);
    read_layout(t, layout);
}

const char *target_open_any(target_t *t, const char *command, const char *number)
{
    open_process(t, command, number);
    uintptr_t layout = find_layout(t, NULL);
    if (layout != 0)
        return enter_layout(t, layout);
    return t->file[0] != '\0' ? "is older than this tool" : "";
}
