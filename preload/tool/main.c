/* tinymem - run programs on tinymem, and inspect running ones. */
#include "tool.h"

#include <string.h>

typedef struct command {
    char name[12];
    int (*run)(char **words);
    const char *arguments, *summary, *help;
} command_t;

static int help(char **words);
static int version(char **words);

static const command_t commands[] = {
    {"run", tool_run, "[--stats] [--] CMD [ARG...]", "run a program on tinymem",
     "Runs CMD with tinymem as its malloc. CMD's input, output, exit status and signals are its own.\n\n"
     "  --stats   print a line of statistics to stderr when each process ends\n\n"
     "Exit status: that of CMD; 127 CMD was not found, 126 it cannot be executed, 125 the library was not found,\n"
     "2 wrong usage.\n"
     "Options for the library itself go into the environment variable TINYMEM; `tinymem options` lists them.\n"},
    {"stat", tool_stat, "[--json] [--all] [--library TEXT] PID", "where the memory of a process is",
     "Reads the figures of tm_heap_stats(3) from outside: nothing runs in the process, and nothing stops it.\n\n"
     "  --json           one line, as tm_stats_json, and how the look went (\"look\")\n"
     "  --all            all size classes, not only those that hold most\n"
     "  --library TEXT   of several tinymem libraries in the process the one whose path has TEXT in it\n"},
    {"top", tool_top, "[--interval S] [--count N] [--library TEXT] PID", "the same, live",
     "Shows the figures of `tinymem stat` again and again, and what goes on: allocation, pages that go back,\n"
     "compaction. q ends it.\n\n"
     "  --interval S     seconds between looks (1); fractions are allowed\n"
     "  --count N        end after so many looks; without a terminal they follow each other\n"
     "  --library TEXT   of several tinymem libraries in the process the one whose path has TEXT in it\n"},
    {"map", tool_map,
     "[--json] [--html FILE] [--ascii] [--color WHEN] [--library TEXT] [--compact [--wait MS]] PID\n"
     "       tinymem map [--json] [--html FILE] [--ascii] [--color WHEN] --compare BEFORE AFTER",
     "every slab of a process, page by page",
     "Shows all slabs, large objects and free spans: how full each page is, what is pinned, cached, purged and\n"
     "in huge pages. Or two maps, and what has changed between them.\n\n"
     "  --compact        a map, a request as `tinymem trim` leaves it, and a second map when that is done\n"
     "  --wait MS        wait so long for it, and for the mover (2000)\n"
     "  --compare        two files that --json has written (- for the input)\n"
     "  --json           a row for each, with its bytes divided as tm_heap_stats(3) does\n"
     "  --html FILE      as a picture in a file that needs nothing else (- for the output)\n"
     "  --ascii          without block characters\n"
     "  --color WHEN     always, never or auto (on a terminal)\n"
     "  --library TEXT   of several tinymem libraries in the process the one whose path has TEXT in it\n"},
    {"trim", tool_trim, "[--wait MS] [--library TEXT] PID", "ask a process to give memory back",
     "Leaves a request that the process serves when it next takes a slow path of malloc or of handles, or by its\n"
     "helper thread, as malloc_trim(0). Threads give back what they cache at their next free, and the mover moves\n"
     "all that there is to gain.\n\n"
     "  --wait MS        wait so long for it to be served (1000)\n"
     "  --library TEXT   of several tinymem libraries in the process the one whose path has TEXT in it\n"},
    {"profile", tool_profile, "[--wait MS] [--library TEXT] PID", "ask a process to write its heap profile",
     "Leaves a request as `tinymem trim` does. The process must have been started with a profile\n"
     "(`tinymem options`).\n\n"
     "  --wait MS        wait so long for it to be served (1000)\n"
     "  --library TEXT   of several tinymem libraries in the process the one whose path has TEXT in it\n"},
    {"doctor", tool_doctor, "[--json] [PID | -- CMD [ARG...]]", "what of a machine, process or program matters",
     "Checks pages, huge pages, overcommit, limits, mappings and membarrier, and says what each means for tinymem;\n"
     "of a process also who serves malloc, and which other allocators are in it; of a program (which is not run)\n"
     "whether a preload reaches it.\n\n"
     "  --json           a list of findings\n"},
    {"options", tool_options, "[--json]", "the options that TINYMEM takes",
     "Lists the options of this version's library, for TINYMEM=name:value,name:value, with their defaults.\n"},
    {"version", version, "", "the version of this tool",
     "Prints the version.\n"},
    {"help", help, "[COMMAND]", "how a command is used", "Tells how a command is used, or which there are.\n"},
};

static const command_t *find(const char *name)
{
    for (size_t i = 0; i < TMI_COUNT_OF(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void list(FILE *to)
{
    fputs("usage: tinymem COMMAND [ARG...]\n\n", to);
    for (size_t i = 0; i < TMI_COUNT_OF(commands); i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`tinymem help COMMAND` tells more of one.\n"
          "Exit status: 0; 1 it could not be done, for the reason given; 2 wrong usage; of run that of the program.\n",
          to);
}

static void explain(const command_t *c, FILE *to)
{
    fprintf(to, "usage: tinymem %s%s%s\n\n%s", c->name, c->arguments[0] != '\0' ? " " : "", c->arguments, c->help);
}

static int help(char **words)
{
    const tool_option_t none[] = {{NULL, NULL, NULL}};
    size_t n = tool_take_options("help", words, none);
    if (n == 0) {
        list(stdout);
        return 0;
    }
    const char *name = tool_only_word("help", words, n, "a command");
    const command_t *c = find(name);
    if (c == NULL)
        tool_misused("help", "there is no command %s", name);
    explain(c, stdout);
    return 0;
}

static int version(char **words)
{
    const tool_option_t none[] = {{NULL, NULL, NULL}};
    if (tool_take_options("version", words, none) > 0)
        tool_misused("version", "one word too many: %s", words[0]);
    printf("tinymem %s\n", TMI_VERSION);
    return 0;
}

/* Whether the word is a request for help: the first word behind the command. */
static bool wants_help(const char *word)
{
    return word != NULL && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

static int finished(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        tool_fail("the output cannot be written");
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        list(stderr);
        return TOOL_USAGE;
    }
    const char *name = argv[1];
    if (wants_help(name)) {
        list(stdout);
        return finished(0);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const command_t *c = find(name);
    if (c == NULL)
        tool_misused("", name[0] == '-' ? "unknown option %s" : "there is no command %s", name);
    if (wants_help(argv[2])) {
        explain(c, stdout);
        return finished(0);
    }
    return finished(c->run(argv + 2));
}
