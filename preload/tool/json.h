/* json.h - values in a JSON text, found where they stand: what `tinymem map --json` wrote is read again.
 *
 * Idea: a value is a pointer to its first character in a text that ends with 0; nothing is copied, and there is no
 * tree. The text may be anything: no function reads past its end. json_end tells once whether brackets and texts close;
 * what the other functions do not find is NULL, false, or left as it was. */
#ifndef TMI_TOOL_JSON_H
#define TMI_TOOL_JSON_H

#include "base/base.h"

typedef const char *json_t;

/* Behind the value; NULL: it does not end. */
const char *json_end(json_t value);

/* A member of an object, or NULL. */
json_t json_member(json_t object, const char *name);

/* The elements of an array, one after the other; NULL: there is none. */
json_t json_first(json_t array);
json_t json_next(json_t element);

bool json_size(json_t value, size_t *to);
bool json_true(json_t value);
/* What fits, without what is behind a backslash. False: it is no text. */
bool json_text(json_t value, char *to, size_t size);
bool json_is(json_t value, const char *text);

#endif
