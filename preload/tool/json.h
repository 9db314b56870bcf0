/* json.h - find values in a JSON text in place. Used to read the output of `tinymem map --json`.
 *
 * Idea: a value is a pointer to its first character in a text that ends with NUL. Nothing is copied, and no tree is
 * built. The text need not be valid: no function reads past its end. json_end finds out whether all brackets and
 * strings are closed. A value that is not found is NULL or false, and its output is left unchanged. */
#ifndef TMI_TOOL_JSON_H
#define TMI_TOOL_JSON_H

#include "base/base.h"

typedef const char *json_t;

/* The position behind the value; NULL: the value is not complete. */
const char *json_end(json_t value);

/* A member of an object, or NULL. */
json_t json_member(json_t object, const char *name);

/* The first element of an array, and the element after another one; NULL: there is none. */
json_t json_first(json_t array);
json_t json_next(json_t element);

bool json_size(json_t value, size_t *to);
bool json_true(json_t value);
/* Copy a string, as much as fits, without escape sequences. False: the value is no string. */
bool json_text(json_t value, char *to, size_t size);
bool json_is(json_t value, const char *text);

#endif
