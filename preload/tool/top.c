/* tinymem top: repeated looks, displayed in place on a terminal. */
#include "os/counters.h"
#include "compaction/compact.h"
#include "stat_text.h"
#include "tool.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 2, CLASSES_WITHOUT_TERMINAL = 10, LINES_OF_OTHERS = 22 };

/* ---- the terminal -------------------------------------------------------------------------------------------- */

static struct termios before;
static bool on_terminal, keys;
static volatile sig_atomic_t stopped;

static void stop(int unused)
{
    (void)unused;
    stopped = 1;
}

static void leave_terminal(void)
{
    if (keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    fputs("\033[?25h\033[?1049l", stdout); // show the cursor, and restore the screen
    (void)fflush(stdout);
}

static void enter_terminal(void)
{
    const struct sigaction action = {.sa_handler = stop};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    on_terminal = isatty(STDOUT_FILENO);
    if (!on_terminal)
        return;
    (void)signal(SIGTSTP, SIG_IGN); // a stop would leave the terminal in this mode
    keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (keys) {
        struct termios raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    (void)atexit(leave_terminal);
    fputs("\033[?1049h\033[?25l", stdout);
}

static struct winsize window(void)
{
    struct winsize w = {.ws_row = 24, .ws_col = 80};
    if (!on_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_row == 0)
        w = (struct winsize){.ws_row = 24, .ws_col = 80};
    return w;
}

/* Display as much of the text as fits on the screen, and clear the rest of each line. */
static void show(const char *text)
{
    struct winsize w = window();
    if (!on_terminal) {
        printf("%s\n", text);
        return;
    }
    fputs("\033[H", stdout);
    for (unsigned row = 0; *text != '\0' && row + 1 < w.ws_row; row++) {
        size_t n = strcspn(text, "\n");
        printf("%.*s\033[K\n", (int)tmi_min(n, w.ws_col), text);
        text += n + (text[n] == '\n');
    }
    fputs("\033[J", stdout);
}

/* Wait. False: the user has asked to quit. */
static bool pause_for(double seconds)
{
    struct pollfd key = {STDIN_FILENO, POLLIN, 0};
    char c = 0;
    (void)fflush(stdout);
    if (poll(keys ? &key : NULL, keys ? 1 : 0, (int)(seconds * 1000)) > 0 && read(STDIN_FILENO, &c, 1) <= 0)
        keys = false;
    return !stopped && c != 'q' && c != 'Q' && c != 3;
}

/* ---- activity ------------------------------------------------------------------------------------------------ */

typedef struct moment {
    double at; // time in seconds
    size_t live, resident, purged, regretted, objects, moved, batches, time_ns;
} moment_t;

static moment_t now(const tmi_sheet_t *s)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (moment_t){
        .at = (double)t.tv_sec + (double)t.tv_nsec / 1e9,
        .live = s->all.raw.live + s->all.movable.live,
        .resident = s->all.resident,
        .purged = s->all.purged,
        .regretted = s->all.regretted,
        .objects = tmi_compact_figure(moved_objects),
        .moved = tmi_compact_figure(moved_bytes),
        .batches = tmi_compact_figure(batches),
        .time_ns = tmi_compact_figure(time_ns),
    };
}

static void put_change(FILE *to, const char *name, size_t then, size_t since, double seconds)
{
    double change = ((double)since - (double)then) / seconds;
    fprintf(to, "  %s %c%s/s", name, change < 0 ? '-' : '+', tool_size((size_t)(change < 0 ? -change : change)));
}

static void put_rates(FILE *to, const moment_t *a, const moment_t *b)
{
    double seconds = b->at > a->at ? b->at - a->at : 1;
    put_change(to, "live", a->live, b->live, seconds);
    put_change(to, "resident", a->resident, b->resident, seconds);
    put_change(to, "given back", a->purged, b->purged, seconds);
    put_change(to, "of it regretted", a->regretted, b->regretted, seconds);
    fprintf(to, "\n  compaction moved %s objects/s, %s/s, in %.1f batches/s, %.1f %% of a processor\n",
            tool_count((size_t)((double)(b->objects - a->objects) / seconds)),
            tool_size((size_t)((double)(b->moved - a->moved) / seconds)), (double)(b->batches - a->batches) / seconds,
            (double)(b->time_ns - a->time_ns) / seconds / 1e7);
}

/* Whether the mover's thread runs, and how much has been moved so far. */
static void put_mover(FILE *to, const tmi_sheet_t *s)
{
    static const char *const modes[] = {"a thread of its own", "only by request", "never"};
    size_t mode = tmi_min(s->all.mover_mode, TMI_COUNT_OF(modes) - 1), moved = tmi_compact_figure(moved_objects);
    fprintf(to, "  mover: %s%s; so far %s object%s, %s, in %s batches", modes[mode],
            s->all.mover_paused > 0 ? ", paused" : "", tool_count(moved), moved == 1 ? "" : "s",
            tool_size(s->all.moved), tool_count(s->all.batches));
    if (s->all.batches > 0)
        fprintf(to, ", the longest %.1f ms", (double)tmi_compact_figure(longest_batch_ns) / 1e6);
    fputc('\n', to);
}

/* A bar of the memory that may be resident: live, cached, stranded, other bytes of slabs, empty. */
static void put_bar(FILE *to, const tmi_sheet_t *s, size_t width)
{
    const tm_heap_part_t *r = &s->all.raw, *m = &s->all.movable;
    const size_t shares[] = {r->live + m->live, r->cached + m->cached, r->stranded + m->stranded,
                             r->slack + m->slack + r->books + m->books, r->empty + m->empty + s->all.spans.empty};
    size_t all = 0, done = 0, drawn = 0;
    for (size_t i = 0; i < TMI_COUNT_OF(shares); i++)
        all += shares[i];
    fputs("  [", to);
    for (size_t i = 0; i < TMI_COUNT_OF(shares) && all > 0; i++) {
        done += shares[i];
        for (; drawn < (size_t)((double)done / (double)all * (double)width + 0.5); drawn++)
            fputc("#c:.-"[i], to);
    }
    fprintf(to, "%*s]  # live  c cached  : stranded  . slack, books  - empty\n\n", (int)(width - drawn), "");
}

/* ---- the command --------------------------------------------------------------------------------------------- */

static double interval_of(const char *text)
{
    char *end;
    double seconds = text == NULL ? 1 : strtod(text, &end);
    if (text != NULL && (text[0] == '\0' || *end != '\0' || !(seconds >= 0.01 && seconds <= 3600)))
        tool_misused("top", "%s is no interval (0.01 to 3600 seconds)", text);
    return seconds;
}

static void look(const target_t *t, moment_t *last, bool first)
{
    static tmi_sheet_t sheet;
    replica_t r;
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL)
        tool_fail("no memory");
    replica_take(&r, t, LOOKS);
    replica_sheet(&r, &sheet);
    moment_t this = now(&sheet);
    struct winsize w = window();
    size_t most = on_terminal && w.ws_row > LINES_OF_OTHERS ? w.ws_row - LINES_OF_OTHERS : CLASSES_WITHOUT_TERMINAL;
    stat_put_head(to, t, &sheet);
    put_rates(to, first ? &this : last, &this);
    put_mover(to, &sheet);
    put_bar(to, &sheet, 40);
    stat_put_heaps(to, &sheet);
    stat_put_classes(to, &sheet, most);
    *last = this;
    if (fclose(to) != 0)
        tool_fail("no memory");
    show(text);
    free(text);
}

int tool_top(char **words)
{
    const char *library = NULL, *every = NULL, *times = NULL;
    const tool_option_t options[] = {
        {"--interval", NULL, &every}, {"--count", NULL, &times}, {"--library", NULL, &library}, {NULL, NULL, NULL}};
    const char *pid = tool_only_word("top", words, tool_take_options("top", words, options), "a process number");
    double seconds = interval_of(every);
    unsigned long count = times == NULL ? 0 : tool_number("top", "a number of looks", times, 1000000000);
    moment_t last = {0};
    target_t t;
    if (times != NULL && count == 0)
        tool_misused("top", "--count takes 1 or more");
    target_open(&t, "top", pid, library);
    enter_terminal();
    for (unsigned long i = 0; count == 0 || i < count; i++) {
        if (i > 0 && !pause_for(seconds))
            break;
        look(&t, &last, i == 0);
    }
    return 0;
}
