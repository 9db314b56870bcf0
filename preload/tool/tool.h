/* tool.h - declarations that the files of the command `tinymem` share: commands, options, messages.
 *
 * Idea: a command is one function and one entry in main.c's table. It reads a process by target.h and replica.h. No
 * code of the tool runs in the inspected process.
 *
 * Fails: one line on stderr, and exit status 1; or 2 for wrong usage, with a hint how to get help. */
#ifndef TMI_TOOL_H
#define TMI_TOOL_H

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

enum { TOOL_FAILED = 1, TOOL_USAGE = 2, TOOL_NO_LIBRARY = 125, TOOL_NOT_EXECUTABLE = 126, TOOL_NOT_FOUND = 127 };

/* The commands. Each gets the words behind its name, ended by NULL, and returns the exit status. */
int tool_run(char **words);
int tool_options(char **words);
int tool_stat(char **words);
int tool_map(char **words);
int tool_top(char **words);
int tool_trim(char **words);
int tool_doctor(char **words);
int tool_profile(char **words);

/* Print "tinymem: ..." to stderr, and exit with status 1. */
_Noreturn void tool_fail(const char *format, ...) TMI_PRINTF(1, 2);
_Noreturn void tool_misused(const char *command, const char *format, ...) TMI_PRINTF(2, 3);

/* An option of a command: a flag, or one with a value (--name VALUE or --name=VALUE). */
typedef struct tool_option {
    const char *name; // including the dashes
    bool *flag;
    const char **value; // exactly one of the two pointers is not NULL
} tool_option_t;

/* Set the options found among the words before "--", and remove them. The remaining words are moved to the front;
 * returns their number. `options` ends with a row without a name. An unknown option is wrong usage. */
size_t tool_take_options(const char *command, char **words, const tool_option_t *options);

/* The word, if exactly one is left; otherwise wrong usage. */
const char *tool_only_word(const char *command, char **words, size_t n, const char *what);

/* A number of at most `max`; otherwise wrong usage. */
unsigned long tool_number(const char *command, const char *what, const char *text, unsigned long max);

/* Find the file that a shell would run for a name without a slash. False: there is none. */
bool tool_in_path(const char *name, char *to, size_t size);

/* Allocate zeroed memory, or exit with a message. */
void *tool_alloc(size_t nbytes);

/* Read the rest of a file into a string that the caller frees. After an error the string is cut short, and errno is
 * set.
 */
char *tool_read_all(int fd);

/* "12.3 MiB", at most 15 characters, in a buffer that stays valid during the next eight calls. */
const char *tool_size(size_t nbytes);
/* The same for counts: 12.3 M. */
const char *tool_count(size_t n);

#endif
