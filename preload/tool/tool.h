/* tool.h - what the files of the command `tinymem` share: its commands, its options, and how it ends.
 *
 * Idea: a command is one function and one entry in main.c's table; what it needs of a process it gets from target.h
 * and replica.h. Nothing here runs in the process that is looked at.
 *
 * Fails: one line on stderr, and exit status 1; 2 for wrong usage, with a hint where the usage is told. */
#ifndef TMI_TOOL_H
#define TMI_TOOL_H

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

enum { TOOL_FAILED = 1, TOOL_USAGE = 2, TOOL_NO_LIBRARY = 125, TOOL_NOT_EXECUTABLE = 126, TOOL_NOT_FOUND = 127 };

/* Each gets the words behind its name, ended by NULL, and returns the exit status. */
int tool_run(char **words);
int tool_options(char **words);
int tool_stat(char **words);
int tool_map(char **words);
int tool_top(char **words);
int tool_trim(char **words);
int tool_doctor(char **words);
int tool_profile(char **words);

/* "tinymem: ..." on stderr, and exit. */
_Noreturn void tool_fail(const char *format, ...) TMI_PRINTF(1, 2);
_Noreturn void tool_misused(const char *command, const char *format, ...) TMI_PRINTF(2, 3);

/* An option of a command: a flag, or one with a value (--name VALUE or --name=VALUE). */
typedef struct tool_option {
    const char *name; // with the dashes
    bool *flag;
    const char **value; // one of the two is NULL
} tool_option_t;

/* Take the options, ended by a row without a name, out of the words wherever they stand, up to "--". What is left is
 * moved to the front; returns how many words that is. An unknown option is wrong usage. */
size_t tool_take_options(const char *command, char **words, const tool_option_t *options);

/* The one word that must be left. */
const char *tool_only_word(const char *command, char **words, size_t n, const char *what);

/* A number in a range; wrong usage otherwise. */
unsigned long tool_number(const char *command, const char *what, const char *text, unsigned long max);

/* The file that a shell would run for a name without a slash. False: there is none. */
bool tool_in_path(const char *name, char *to, size_t size);

/* Memory or the end. */
void *tool_alloc(size_t nbytes);

/* A file from where it stands to its end, ended by 0; the caller frees it. An error cuts it, and is in errno. */
char *tool_read_all(int fd);

/* "12.3 MiB": of at most 15 characters, in a buffer that is good for the next eight calls. */
const char *tool_size(size_t nbytes);
/* The same for counts: 12.3 M. */
const char *tool_count(size_t n);

#endif
