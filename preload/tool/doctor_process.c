/* Checks of a process: its limits, which allocator serves malloc, and which others are loaded. */
#include "doctor.h"
#include "os/options.h"
#include "target.h"
#include "tool.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- limits -------------------------------------------------------------------------------------------------- */

static void say_limit(const char *limits, const char *row, const char *name, const char *meaning)
{
    const char *line = strstr(limits, row);
    char soft[32] = "";
    if (line == NULL || sscanf(line + strlen(row), " %31s", soft) != 1)
        return;
    if (strcmp(soft, "unlimited") == 0)
        doctor_say(FOUND_OK, name, soft, "no bound");
    else
        doctor_say(FOUND_WARN, name, tool_size(strtoul(soft, NULL, 10)), meaning);
}

static void say_cgroup(pid_t pid)
{
    char path[512];
    char *groups = target_file(pid, "cgroup");
    const char *own = strstr(groups, "0::/");
    if (own != NULL) {
        int length = (int)strcspn(own + 3, "\n");
        snprintf(path, sizeof path, "../../sys/fs/cgroup%.*s/memory.max", length, own + 3);
        char *max = target_file(getpid(), path);
        max[strcspn(max, "\n")] = '\0';
        if (max[0] >= '0' && max[0] <= '9')
            doctor_say(
                FOUND_NOTE, "cgroup memory.max", tool_size(strtoul(max, NULL, 10)),
                "the kernel kills what goes beyond; empty memory that tinymem keeps (purge_keep, purge_delay) counts");
        free(max);
    }
    free(groups);
}

void doctor_limits(pid_t pid)
{
    char *limits = target_file(pid != 0 ? pid : getpid(), "limits");
    say_limit(limits, "Max address space", "RLIMIT_AS",
              "the heap makes smaller lookup tables, and handles have less room; all mappings of the process count");
    say_limit(limits, "Max data size", "RLIMIT_DATA", "private writable mappings count: malloc fails beyond it");
    free(limits);
    say_cgroup(pid != 0 ? pid : getpid());
}

/* ---- which allocator serves malloc --------------------------------------------------------------------------- */

const char *doctor_allocator_library(const char *path)
{
    static const char *const names[][2] = {{"libjemalloc", "jemalloc"}, {"libtcmalloc", "tcmalloc"},
                                           {"libmimalloc", "mimalloc"}, {"libsnmalloc", "snmalloc"},
                                           {"libhoard", "Hoard"},       {"librpmalloc", "rpmalloc"}};
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    for (size_t i = 0; i < TMI_COUNT_OF(names); i++)
        if (strncmp(file, names[i][0], strlen(names[i][0])) == 0)
            return names[i][1];
    return NULL;
}

const char *doctor_allocator(bool (*has)(void *context, const char *symbol), void *context)
{
    static const char *const names[][2] = {{"je_malloc", "jemalloc"}, {"mallocx", "jemalloc"},
                                           {"tc_malloc", "tcmalloc"}, {"mi_malloc", "mimalloc"},
                                           {"rpmalloc", "rpmalloc"},  {"sn_malloc", "snmalloc"}};
    for (size_t i = 0; i < TMI_COUNT_OF(names); i++)
        if (has(context, names[i][0]))
            return names[i][1];
    return NULL;
}

/* The loaded objects of a process, in the order in which the dynamic linker searches them for symbols. */
typedef struct object {
    uintptr_t bias, dynamic;
    char path[512];
} object_t;

typedef struct objects {
    object_t list[512];
    size_t n;
} objects_t;

static bool read_text(const target_t *t, uintptr_t from, char *to, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (!target_read(t, from + i, to + i, 1))
            return false;
        if (to[i] == '\0')
            return true;
    }
    to[size - 1] = '\0';
    return true;
}

/* Read the list that the dynamic linker keeps for debuggers, found through the program's dynamic section. */
static void read_objects(const target_t *t, uintptr_t dynamic, objects_t *o)
{
    Elf64_Dyn d = {.d_tag = DT_NULL + 1};
    struct r_debug debug = {0};
    for (unsigned i = 0; i < 256 && d.d_tag != DT_NULL && d.d_tag != DT_DEBUG; i++)
        if (!target_read(t, dynamic + i * sizeof d, &d, sizeof d))
            return;
    if (d.d_tag != DT_DEBUG || !target_read(t, d.d_un.d_ptr, &debug, sizeof debug))
        return;
    struct link_map m;
    for (uintptr_t at = (uintptr_t)debug.r_map; at != 0 && o->n < TMI_COUNT_OF(o->list); at = (uintptr_t)m.l_next) {
        object_t *x = &o->list[o->n];
        if (!target_read(t, at, &m, sizeof m) || !read_text(t, (uintptr_t)m.l_name, x->path, sizeof x->path))
            return;
        x->bias = m.l_addr;
        x->dynamic = (uintptr_t)m.l_ld;
        o->n++;
    }
}

typedef struct program {
    uintptr_t headers, count, secure, interpreter, dynamic, bias;
} program_t;

/* Find the program by the auxiliary vector and the program headers. */
static program_t read_program(const target_t *t)
{
    program_t p = {0};
    char name[32];
    snprintf(name, sizeof name, "/proc/%d/auxv", (int)t->pid);
    FILE *f = fopen(name, "re");
    Elf64_auxv_t a;
    while (f != NULL && fread(&a, sizeof a, 1, f) == 1 && a.a_type != AT_NULL) {
        p.headers = a.a_type == AT_PHDR ? a.a_un.a_val : p.headers;
        p.count = a.a_type == AT_PHNUM ? a.a_un.a_val : p.count;
        p.secure = a.a_type == AT_SECURE ? a.a_un.a_val : p.secure;
    }
    if (f != NULL)
        fclose(f);
    Elf64_Phdr h;
    for (uintptr_t i = 0; i < p.count && target_read(t, p.headers + i * sizeof h, &h, sizeof h); i++) {
        if (h.p_type == PT_PHDR)
            p.bias = p.headers - h.p_vaddr;
        if (h.p_type == PT_DYNAMIC)
            p.dynamic = h.p_vaddr;
        if (h.p_type == PT_INTERP)
            p.interpreter = h.p_vaddr;
    }
    return p;
}

typedef struct place {
    const target_t *t;
    const object_t *object;
} place_t;

static bool object_has(void *context, const char *symbol)
{
    const place_t *p = context;
    return elf_symbol_of(p->t, p->object->bias, p->object->dynamic, symbol) != 0;
}

static const char *name_of(const object_t *o) { return o->path[0] != '\0' ? o->path : "the program itself"; }

/* `linked`: tinymem is linked into the program's own file. */
static void say_server(const target_t *t, const objects_t *o, bool linked)
{
    for (size_t i = 0; i < o->n; i++) {
        place_t p = {t, &o->list[i]};
        if (!object_has(&p, "malloc"))
            continue;
        if (strstr(p.object->path, "libtinymem") != NULL)
            doctor_say(FOUND_OK, "malloc", name_of(p.object), "tinymem serves malloc");
        else if (linked && p.object->path[0] == '\0')
            doctor_say(FOUND_OK, "malloc", name_of(p.object), "tinymem, linked in, serves malloc");
        else
            doctor_say(
                FOUND_WARN, "malloc", name_of(p.object),
                "not tinymem: start the program with `tinymem run`; if it was, something stands before the preload");
        return;
    }
}

static void say_others(const target_t *t, const objects_t *o)
{
    for (size_t i = 0; i < o->n; i++) {
        place_t p = {t, &o->list[i]};
        const char *name = doctor_allocator_library(p.object->path);
        if (name == NULL)
            name = doctor_allocator(object_has, &p);
        if (name != NULL)
            doctor_sayf(FOUND_NOTE, "other allocator", "blocks that it is asked for by its own names are not tinymem's",
                        "%s in %s", name, name_of(p.object));
    }
}

/* ---- the process --------------------------------------------------------------------------------------------- */

/* Keep only the items of "name:value,name:value" whose value is not the default. */
static void keep_changed(char *text)
{
    char changed[1024] = "", *save = NULL;
    tmi_option_text_t o;
    size_t row = 0;
    for (char *item = strtok_r(text, ",", &save); item != NULL && tmi_options_row(row, &o);
         item = strtok_r(NULL, ",", &save), row++) {
        size_t n = strlen(changed), name = strlen(o.name);
        if (strncmp(item, o.name, name) == 0 && strcmp(item + name + 1, o.value) != 0)
            snprintf(changed + n, sizeof changed - n, "%s%s", n > 0 ? "," : "", item);
    }
    strcpy(text, changed[0] != '\0' ? changed : "all defaults");
}

static void say_options(target_t *t)
{
    char text[1024];
    if (!target_read(t, t->place[TMI_PLACE_tmi_options], &tmi_options, sizeof tmi_options))
        return;
    tmi_options.stats_file[TMI_PATH_MAX - 1] = '\0';
    (void)tmi_options_describe(text, sizeof text);
    keep_changed(text);
    size_t page = 0;
    (void)target_read(t, t->place[TMI_PLACE_tmi_os_page_size], &page, sizeof page);
    if (page == 0)
        doctor_say(FOUND_NOTE, "options", "not read yet", "the process has not allocated by this library so far");
    else
        doctor_say(FOUND_OK, "options", text, "in force there; `tinymem options` tells what each does");
}

static void say_status(const target_t *t)
{
    char *status = target_file(t->pid, "status"), *maps = target_file(t->pid, "maps"),
         *max = target_file(getpid(), "../sys/vm/max_map_count");
    size_t locked = 0, threads = 0, thp = 1, mappings = 0, most = strtoul(max, NULL, 10);
    for (const char *c = maps; *c != '\0'; c++)
        mappings += *c == '\n';
    if (target_field(status, "VmLck", &locked) && locked > 0)
        doctor_say(FOUND_WARN, "locked memory", tool_size(locked), "locked pages cannot be given back");
    if (target_field(status, "THP_enabled", &thp) && thp == 0)
        doctor_say(FOUND_OK, "huge pages", "off in this process", "option huge:on has no effect");
    if (target_field(status, "Threads", &threads))
        doctor_sayf(FOUND_OK, "threads",
                    threads > 1
                        ? "memory goes back by a helper thread, unless option background says otherwise"
                        : "memory goes back by frees; there is no helper thread unless option background asks for it",
                    "%zu", threads);
    doctor_sayf(most > 0 && mappings > most / 10 * 8 ? FOUND_WARN : FOUND_OK, "mappings",
                most > 0 && mappings > most / 10 * 8 ? "near the limit: mmap, and with it malloc, will fail"
                                                     : "far from the limit",
                "%zu of %zu", mappings, most);
    free(status);
    free(maps);
    free(max);
}

static void say_program(const target_t *t, const program_t *p, const objects_t *o, bool found)
{
    bool linked = found && strstr(t->file, "libtinymem") == NULL;
    char interpreter[256] = "";
    if (p->secure != 0)
        doctor_say(FOUND_WARN, "privileges", "set-user-ID or the like",
                   "the dynamic linker ignores LD_PRELOAD with a path, tinymem its options");
    if (p->interpreter == 0 && linked) {
        doctor_say(FOUND_OK, "linking", "static", "tinymem is linked in");
        return;
    }
    if (p->interpreter == 0) {
        doctor_say(FOUND_WARN, "linking", "static", "a preload does not reach it: link libtinymem.a into it");
        return;
    }
    (void)read_text(t, p->bias + p->interpreter, interpreter, sizeof interpreter);
    if (strstr(interpreter, "ld-musl") != NULL)
        doctor_say(FOUND_WARN, "linking", "dynamic, musl",
                   "libtinymem.so needs glibc; the movable heap alone works (libtinymem-handles)");
    else
        doctor_say(FOUND_OK, "linking", "dynamic", "a preload reaches it");
    say_server(t, o, linked);
    say_others(t, o);
}

void doctor_process(const char *number)
{
    static objects_t objects;
    target_t t;
    char about[160];
    const char *why = target_open_any(&t, "doctor", number);
    bool found = why == NULL;
    snprintf(about, sizeof about, "process %d (%s)", (int)t.pid, t.name);
    doctor_about(about);
    program_t p = read_program(&t);
    if (p.dynamic != 0)
        read_objects(&t, p.bias + p.dynamic, &objects);
    if (found)
        doctor_sayf(FOUND_OK, "tinymem", "it can be looked into", "version %s in %s", t.facts.version, t.file);
    else if (why[0] == '\0')
        doctor_say(FOUND_WARN, "tinymem", "not there", "the process does not run on tinymem");
    else
        doctor_sayf(FOUND_WARN, "tinymem", "use the tool that came with it", "%s %s", t.file, why);
    say_program(&t, &p, &objects, found);
    if (found)
        say_options(&t);
    say_status(&t);
    doctor_limits(t.pid);
}
