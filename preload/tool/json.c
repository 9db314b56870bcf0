#include "json.h"

#include <stdlib.h>
#include <string.h>

static const char *blanks(const char *at) { return at + strspn(at, " \t\r\n"); }

/* The position behind the string whose opening quote is at `at`; NULL: it is not closed. */
static const char *text_end(const char *at)
{
    for (at++; *at != '\0' && *at != '"'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at == '"' ? at + 1 : NULL;
}

const char *json_end(json_t value)
{
    size_t depth = 0;
    for (const char *at = value; at != NULL && *at != '\0';) {
        if (*at == '"') {
            at = text_end(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                return NULL;
            depth--;
            at++;
        } else if (strchr(",: \t\r\n", *at) != NULL) {
            at++;
            continue; // not the end of a value
        } else {
            at += strcspn(at, ",:]}[{\" \t\r\n");
        }
        if (depth == 0)
            return at;
    }
    return NULL;
}

json_t json_member(json_t object, const char *name)
{
    size_t length = strlen(name);
    if (object == NULL || *object != '{')
        return NULL;
    for (const char *at = blanks(object + 1); *at == '"';) {
        const char *key = at + 1, *end = text_end(at);
        if (end == NULL || *(at = blanks(end)) != ':')
            return NULL;
        at = blanks(at + 1);
        if ((size_t)(end - 1 - key) == length && memcmp(key, name, length) == 0)
            return at;
        if ((at = json_end(at)) == NULL || *(at = blanks(at)) != ',')
            return NULL;
        at = blanks(at + 1);
    }
    return NULL;
}

json_t json_first(json_t array)
{
    if (array == NULL || *array != '[')
        return NULL;
    const char *at = blanks(array + 1);
    return *at != ']' && *at != '\0' ? at : NULL;
}

json_t json_next(json_t element)
{
    const char *at = json_end(element);
    return at != NULL && *(at = blanks(at)) == ',' ? blanks(at + 1) : NULL;
}

bool json_size(json_t value, size_t *to)
{
    if (value == NULL || *value < '0' || *value > '9')
        return false;
    *to = strtoull(value, NULL, 10);
    return true;
}

bool json_true(json_t value) { return value != NULL && strncmp(value, "true", 4) == 0; }

bool json_text(json_t value, char *to, size_t size)
{
    const char *end = value != NULL && *value == '"' ? text_end(value) : NULL;
    if (end == NULL)
        return false;
    size_t n = tmi_min((size_t)(end - 1 - (value + 1)), size - 1);
    const char *escape = memchr(value + 1, '\\', n);
    n = escape != NULL ? (size_t)(escape - (value + 1)) : n;
    memcpy(to, value + 1, n);
    to[n] = '\0';
    return true;
}

bool json_is(json_t value, const char *text)
{
    char found[64];
    return json_text(value, found, sizeof found) && strcmp(found, text) == 0;
}
