/* Output of findings as text or JSON; checks of the machine; the command. */
#include "doctor.h"
#include "target.h"
#include "tool.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool as_json, any;
static const char *subject = "";

static void put_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ')
            printf("\\u%04x", *text);
        else
            printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    putchar('"');
}

void doctor_about(const char *name)
{
    subject = name;
    if (!as_json)
        printf("%s%s\n", any ? "\n" : "", name);
}

void doctor_say(finding_t found, const char *what, const char *value, const char *meaning)
{
    static const char *const words[] = {"ok", "note", "warn"};
    if (!as_json) {
        printf("  %-4s  %-18s %s - %s\n", words[found], what, value, meaning);
        any = true;
        return;
    }
    const char *keys[] = {"about", "found", "what", "value", "meaning"},
               *texts[] = {subject, words[found], what, value, meaning};
    printf(any ? ",\n{" : "[{");
    for (size_t i = 0; i < TMI_COUNT_OF(keys); i++) {
        printf("%s\"%s\":", i > 0 ? "," : "", keys[i]);
        put_string(texts[i]);
    }
    putchar('}');
    any = true;
}

void doctor_sayf(finding_t found, const char *what, const char *meaning, const char *format, ...)
{
    char value[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    doctor_say(found, what, value, meaning);
}

/* ---- the machine --------------------------------------------------------------------------------------------- */

/* The first line of a file; "" if it is empty or cannot be read. */
static const char *line_of(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0)
        close(fd);
    to[n > 0 ? n : 0] = '\0';
    to[strcspn(to, "\n")] = '\0';
    return to;
}

static void say_pages(void)
{
    long size = sysconf(_SC_PAGESIZE);
    bool fine = size > 0 && tmi_is_pow2((size_t)size) && (size_t)size <= TMI_UNIT_SIZE;
    doctor_sayf(fine ? FOUND_OK : FOUND_WARN, "OS pages",
                fine ? "the grain in which memory goes back to the kernel"
                     : "not supported: programs abort at their first allocation",
                "%ld bytes", size);
}

static void say_huge_pages(void)
{
    char text[128];
    line_of("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    if (text[0] == '\0')
        doctor_say(FOUND_OK, "huge pages", "this kernel has none", "option huge:on has no effect");
    else if (strstr(text, "[always]") != NULL)
        doctor_say(FOUND_NOTE, "huge pages", "always",
                   "the kernel makes them unasked: fewer TLB misses, and more memory is resident than was "
                   "handed out; where pages have gone back tinymem forbids them");
    else if (strstr(text, "[never]") != NULL)
        doctor_say(FOUND_OK, "huge pages", "never", "option huge:on has no effect");
    else
        doctor_say(FOUND_OK, "huge pages", "madvise",
                   "none, unless option huge:on asks for them where the heap is dense");
}

static void say_overcommit(void)
{
    char text[32];
    size_t limit = 0, used = 0;
    line_of("/proc/sys/vm/overcommit_memory", text, sizeof text);
    if (strcmp(text, "2") != 0) {
        doctor_say(FOUND_OK, "overcommit", text[0] != '\0' ? text : "not known",
                   "address space is free: only resident pages count");
        return;
    }
    char *memory = target_file(getpid(), "../meminfo");
    (void)target_field(memory, "CommitLimit", &limit);
    (void)target_field(memory, "Committed_AS", &used);
    free(memory);
    doctor_sayf(used > limit / 10 * 9 ? FOUND_WARN : FOUND_NOTE, "overcommit",
                "strict: the heap's address space is charged and stays so when its pages have gone back; near the "
                "limit malloc fails",
                "2, %s of %s promised", tool_size(used), tool_size(limit));
}

static void say_max_maps(void)
{
    char text[32];
    line_of("/proc/sys/vm/max_map_count", text, sizeof text);
    doctor_say(
        text[0] != '\0' && atol(text) < 65530 ? FOUND_NOTE : FOUND_OK, "max_map_count",
        text[0] != '\0' ? text : "not known",
        "mappings a process may have; the heap takes one for each run of segments, and giving pages back takes none");
}

static void say_membarrier(void)
{
    long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    bool global = known > 0 && (known & MEMBARRIER_CMD_GLOBAL),
         expedited = known > 0 && (known & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    if (global || expedited)
        doctor_say(FOUND_OK, "membarrier",
                   global && expedited ? "global, expedited"
                   : global            ? "global"
                                       : "expedited",
                   "pins of the movable heap are two stores and a load");
    else
        doctor_say(FOUND_WARN, "membarrier", "none",
                   "each pin of the movable heap takes a fence of its own; malloc does not mind");
}

static void say_ptrace(void)
{
    char text[32];
    line_of("/proc/sys/kernel/yama/ptrace_scope", text, sizeof text);
    bool free_for_all = text[0] == '\0' || strcmp(text, "0") == 0;
    doctor_say(free_for_all ? FOUND_OK : FOUND_NOTE, "ptrace_scope", text[0] == '\0' ? "not restricted" : text,
               free_for_all ? "tinymem stat, map, top, trim and profile work on one's own processes"
                            : "tinymem stat, map, top, trim and profile take root");
}

void doctor_machine(void)
{
    doctor_about("this machine");
    say_pages();
    say_huge_pages();
    say_overcommit();
    say_max_maps();
    say_membarrier();
    say_ptrace();
}

/* ---- the command --------------------------------------------------------------------------------------------- */

int tool_doctor(char **words)
{
    const char *pid = NULL, *program = NULL;
    for (; words[0] != NULL && pid == NULL && program == NULL; words++) {
        if (strcmp(words[0], "--json") == 0)
            as_json = true;
        else if (strcmp(words[0], "--") == 0 && words[1] == NULL)
            tool_misused("doctor", "a program is missing behind --");
        else if (strcmp(words[0], "--") == 0)
            program = words[1];
        else if (words[0][0] == '-')
            tool_misused("doctor", "unknown option %s", words[0]);
        else
            pid = words[0];
    }
    if (pid != NULL && words[0] != NULL)
        tool_misused("doctor", "one word too many: %s (a program stands behind --)", words[0]);
    if (pid != NULL) {
        doctor_process(pid);
        doctor_machine();
    } else {
        doctor_machine();
        doctor_about(program != NULL ? "limits that the program would have" : "limits here");
        doctor_limits(0);
        if (program != NULL)
            doctor_program(program);
    }
    if (as_json)
        puts("]");
    return 0;
}
