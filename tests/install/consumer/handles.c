/* Handles beside another malloc: objects move, in a child of fork too. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <tinymem/tinymem.h>
#include <unistd.h>

enum { OBJECTS = 20000 };
static tm_handle_t object[OBJECTS];

static int moved(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        object[i] = tm_alloc(200);
        TM_PINNED(char, p, object[i]) { memset(p, i & 127, 200); }
    }
    for (int i = 0; i < OBJECTS; i++)
        if (i % 8 != 0)
            tm_free(object[i]);
    (void)tm_compact();
    int good = 1;
    for (int i = 0; i < OBJECTS; i += 8) {
        TM_PINNED(char, p, object[i]) { good &= p[0] == (i & 127) && p[199] == (i & 127); }
        tm_free(object[i]);
    }
    tm_stats_t s = {.struct_size = sizeof s};
    tm_stats(&s);
    return good && s.moved_objects > 0;
}

int main(void)
{
    int good = moved(), status = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(moved() ? 0 : 1);
    good &= waitpid(child, &status, 0) == child && status == 0;
    printf("%s %s\n", tm_version(), good ? "serves" : "does not serve");
    return !good;
}
