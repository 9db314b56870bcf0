/* doctor.h - what of a machine, a process or a program matters to tinymem, and what each finding means.
 *
 * Idea: a check says one thing: what it looked at, what it found, and what that means here. `ok` needs no thought,
 * `note` is good to know, `warn` costs something or keeps tinymem from working. */
#ifndef TMI_TOOL_DOCTOR_H
#define TMI_TOOL_DOCTOR_H

#include "base/base.h"

#include <sys/types.h>

typedef enum finding { FOUND_OK, FOUND_NOTE, FOUND_WARN } finding_t;

/* One line, or one object. `what` names the check. */
void doctor_say(finding_t found, const char *what, const char *value, const char *meaning);
/* The same with a value made of parts. */
void doctor_sayf(finding_t found, const char *what, const char *meaning, const char *format, ...) TMI_PRINTF(4, 5);
/* The checks that follow are about this. */
void doctor_about(const char *subject);

/* The limits that a process runs under, by its number; 0: this one. */
void doctor_limits(pid_t pid);

void doctor_machine(void);
void doctor_process(const char *number);
/* A program that is not running, found as a shell does. */
void doctor_program(const char *name);

/* Allocators by the names of their functions, or NULL: `has` tells whether a symbol is there. */
const char *doctor_allocator(bool (*has)(void *context, const char *symbol), void *context);
/* The same by the name of a library. */
const char *doctor_allocator_library(const char *path);

#endif
