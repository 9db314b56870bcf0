/* doctor.h - checks of a machine, a process or a program for properties that matter to tinymem.
 *
 * Idea: each check reports one finding: the name of the check, the value found, and its meaning for tinymem. `ok` needs
 * no action, `note` is information, `warn` costs performance or memory, or keeps tinymem from working. */
#ifndef TMI_TOOL_DOCTOR_H
#define TMI_TOOL_DOCTOR_H

#include "base/base.h"

#include <sys/types.h>

typedef enum finding { FOUND_OK, FOUND_NOTE, FOUND_WARN } finding_t;

/* Print a finding: one line of text, or one JSON object. `what` is the name of the check. */
void doctor_say(finding_t found, const char *what, const char *value, const char *meaning);
/* The same with a formatted value. */
void doctor_sayf(finding_t found, const char *what, const char *meaning, const char *format, ...) TMI_PRINTF(4, 5);
/* Begin a group of checks with this heading. */
void doctor_about(const char *subject);

/* Check the resource limits of a process; 0: this one. */
void doctor_limits(pid_t pid);

void doctor_machine(void);
void doctor_process(const char *number);
/* Check a program that is not running. `name` is searched for as by a shell. */
void doctor_program(const char *name);

/* The name of the allocator that defines the symbols for which `has` returns true, or NULL. */
const char *doctor_allocator(bool (*has)(void *context, const char *symbol), void *context);
/* The name of the allocator that the library at `path` is, or NULL. */
const char *doctor_allocator_library(const char *path);

#endif
