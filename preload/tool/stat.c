/* tinymem stat: where the memory of a process is, on one screen or as JSON. */
#include "stat_text.h"
#include "tool.h"

#include <stdlib.h>

enum { LOOKS = 4, CLASSES_SHOWN = 10 };

static void put_json(const replica_t *r, const tmi_sheet_t *sheet)
{
    tmi_text_t text = {NULL, 0, 0};
    tmi_stats_json_write(&text, sheet);
    text = (tmi_text_t){tool_alloc(text.length + 1), text.length, 0};
    tmi_stats_json_write(&text, sheet);
    printf("%.*s,\"look\":{\"steady\":%s,\"looks\":%u,\"read_again\":%zu,\"left_out\":%zu}}\n", (int)text.length - 2,
           text.buf, r->steady ? "true" : "false", r->looks, r->retries, r->left_out);
    free(text.buf);
}

int tool_stat(char **words)
{
    static tmi_sheet_t sheet;
    bool json = false, all = false;
    const char *library = NULL;
    const tool_option_t options[] = {
        {"--json", &json, NULL}, {"--all", &all, NULL}, {"--library", NULL, &library}, {NULL, NULL, NULL}};
    const char *pid = tool_only_word("stat", words, tool_take_options("stat", words, options), "a process number");
    target_t t;
    replica_t r;
    target_open(&t, "stat", pid, library);
    replica_take(&r, &t, LOOKS);
    replica_sheet(&r, &sheet);
    if (json) {
        put_json(&r, &sheet);
        return 0;
    }
    stat_put_head(stdout, &t, &sheet);
    stat_put_heaps(stdout, &sheet);
    stat_put_classes(stdout, &sheet, all ? SIZE_MAX : CLASSES_SHOWN);
    stat_put_foot(stdout, &r, &sheet);
    return 0;
}
