/* Run a program with the library preloaded. Messages and exit statuses are those of preload/run. */
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libtinymem.so.0"

static _Noreturn void stop(int status, const char *name, const char *why)
{
    fprintf(stderr, "tinymem run: %s: %s\n", name, why);
    exit(status);
}

static bool is_file(const char *path, int mode)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode) && access(path, mode) == 0;
}

/* Find the library: beside the tool, as built; at its installed place relative to the tool; at its configured place. */
static bool find_library(char *out, size_t size)
{
    char self[PATH_MAX], try[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = n > 0 ? memrchr(self, '/', (size_t)n) : NULL;
    if (slash != NULL) {
        *slash = '\0';
        const char *places[] = {"", "/" TOOL_LIB_FROM_BIN};
        for (size_t i = 0; i < TMI_COUNT_OF(places); i++) {
            char folder[PATH_MAX];
            snprintf(try, sizeof try, "%s%s", self, places[i]);
            if (realpath(try, folder) == NULL)
                continue;
            snprintf(out, size, "%s/" LIBRARY, folder);
            if (is_file(out, R_OK))
                return true;
        }
    }
    snprintf(out, size, "%s/" LIBRARY, TOOL_LIB);
    return is_file(out, R_OK);
}

static void require_program(const char *name)
{
    char path[2 * PATH_MAX];
    if (strchr(name, '/') == NULL) {
        if (!tool_in_path(name, path, sizeof path))
            stop(TOOL_NOT_FOUND, name, "command not found");
    } else if (access(name, F_OK) != 0) {
        stop(TOOL_NOT_FOUND, name, "command not found");
    } else if (!is_file(name, X_OK)) {
        stop(TOOL_NOT_EXECUTABLE, name, "cannot be executed");
    }
}

/* Prepend `value` and `separator` to an environment variable, or append them with `behind`. */
static void extend(const char *name, const char *value, char separator, bool behind)
{
    const char *old = getenv(name);
    if (old == NULL || old[0] == '\0') {
        setenv(name, value, 1);
        return;
    }
    char *text = tool_alloc(strlen(old) + strlen(value) + 2);
    sprintf(text, "%s%c%s", behind ? old : value, separator, behind ? value : old);
    setenv(name, text, 1);
    free(text);
}

/* In LD_PRELOAD a space or a colon ends a name, so a library whose path contains one is found by LD_LIBRARY_PATH, which
 * allows spaces. */
static void preload(char *library)
{
    if (strpbrk(library, ":;$") != NULL)
        stop(TOOL_NO_LIBRARY, library, "the dynamic linker cannot find a library under a path with ':', ';' or '$'");
    if (strpbrk(library, " \t\n") != NULL) {
        *strrchr(library, '/') = '\0';
        extend("LD_LIBRARY_PATH", library, ':', false);
        extend("LD_PRELOAD", LIBRARY, ':', false);
    } else {
        extend("LD_PRELOAD", library, ':', false);
    }
}

int tool_run(char **words)
{
    char library[3 * PATH_MAX];
    bool stats = false;
    for (; words[0] != NULL && words[0][0] == '-'; words++) {
        if (strcmp(words[0], "--") == 0) {
            words++;
            break;
        }
        if (strcmp(words[0], "--stats") != 0)
            tool_misused("run", "unknown option %s", words[0]);
        stats = true;
    }
    if (words[0] == NULL)
        tool_misused("run", "a program is missing");
    require_program(words[0]);
    if (!find_library(library, sizeof library))
        stop(TOOL_NO_LIBRARY, LIBRARY, "the library was not found beside this tool, nor in " TOOL_LIB);
    if (stats)
        extend("TINYMEM", "stats:on", ',', true);
    preload(library);
    execvp(words[0], words);
    int err = errno;
    stop(err == ENOENT ? TOOL_NOT_FOUND : TOOL_NOT_EXECUTABLE, words[0],
         err == ENOENT ? "its interpreter was not found" : "cannot be executed");
}
