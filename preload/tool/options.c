/* The table of options, made from the library's own table. */
#include "os/options.h"
#include "tool.h"

static void put_json(const tmi_option_text_t *o, bool first)
{
    const char *texts[] = {o->kind, o->name, o->value, o->choices, o->help},
               *keys[] = {"kind", "name", "default", "choices", "help"};
    printf("%s{", first ? "" : ",");
    for (size_t i = 0; i < TMI_COUNT_OF(texts); i++) {
        printf("%s\"%s\":\"", i > 0 ? "," : "", keys[i]);
        for (const char *c = texts[i]; *c != '\0'; c++)
            printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        putchar('"');
    }
    putchar('}');
}

static void put_row(const tmi_option_text_t *o)
{
    char setting[64], values[64];
    snprintf(setting, sizeof setting, "%s:%s", o->name, o->value);
    snprintf(values, sizeof values, "%s", o->choices[0] != '\0' ? o->choices : "number");
    printf("%-24s %-32s %s\n", setting, values, o->help);
}

int tool_options(char **words)
{
    bool json = false;
    const tool_option_t taken[] = {{"--json", &json, NULL}, {NULL, NULL, NULL}};
    tmi_option_text_t o;
    if (tool_take_options("options", words, taken) > 0)
        tool_misused("options", "one word too many: %s", words[0]);
    if (json)
        putchar('[');
    else
        printf("%-24s %-32s %s\n", "option and default", "values or unit", "meaning");
    for (size_t i = 0; tmi_options_row(i, &o); i++) {
        if (json)
            put_json(&o, i == 0);
        else
            put_row(&o);
    }
    if (json)
        puts("]");
    return 0;
}
