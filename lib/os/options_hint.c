/* Hints for a text of options that is not understood. Each hint is one line. The option keeps its value. */
#include "os/options_impl.h"
#include "os/report.h"

enum { WORD_MAX = 24 };

/* Levenshtein distance of two short words. The rest of a long word counts as different. */
static unsigned distance(tmi_slice_t a, tmi_slice_t b)
{
    unsigned row[WORD_MAX + 1];
    if (a.length > WORD_MAX || b.length > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b.length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.length; j++) {
            unsigned change = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            unsigned shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = change < shorter + 1 ? change : shorter + 1;
        }
    }
    return row[b.length];
}

/* In the spelling of our names: lower case, and '_' for '-'. */
static tmi_slice_t lowered(char *buf, size_t size, tmi_slice_t from)
{
    tmi_slice_copy(buf, size, from);
    for (char *c = buf; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    return tmi_slice_of(buf);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const char *nearest_name(tmi_slice_t key)
{
    const tmi_option_row_t *rows = tmi_option_rows, *best = &rows[0];
    for (size_t i = 1; i < TMI_OPTION_COUNT; i++)
        if (distance(key, tmi_slice_of(rows[i].name)) < distance(key, tmi_slice_of(best->name)))
            best = &rows[i];
    return best->name;
}

/* Options of other allocators, and our option with the same effect; "" if there is none. */
static const struct {
    const char name[24], whose[12], ours[16];
} others[] = {
    {"narenas", "jemalloc", ""},
    {"percpu_arena", "jemalloc", ""},
    {"retain", "jemalloc", ""},
    {"tcache", "jemalloc", ""},
    {"tcache_max", "jemalloc", ""},
    {"lg_tcache_max", "jemalloc", ""},
    {"oversize_threshold", "jemalloc", ""},
    {"prof", "jemalloc", ""},
    {"decay", "jemalloc", "purge_delay"},
    {"decay_time", "jemalloc", "purge_delay"},
    {"dirty_decay_ms", "jemalloc", "purge_delay"},
    {"muzzy_decay_ms", "jemalloc", "purge_delay"},
    {"background_thread", "jemalloc", "background"},
    {"stats_print", "jemalloc", "stats"},
    {"stats_interval_opts", "jemalloc", "stats"},
    {"confirm_conf", "jemalloc", "verbose"},
    {"thp", "jemalloc", "huge"},
    {"metadata_thp", "jemalloc", "huge"},
    {"junk", "jemalloc", "check"},
    {"abort", "jemalloc", "stale"},
    {"show_stats", "mimalloc", "stats"},
    {"show_errors", "mimalloc", "check"},
    {"eager_commit", "mimalloc", ""},
    {"arena_eager_commit", "mimalloc", ""},
    {"arena_reserve", "mimalloc", ""},
    {"use_numa_nodes", "mimalloc", ""},
    {"page_reset", "mimalloc", "purge_delay"},
    {"reset_delay", "mimalloc", "purge_delay"},
    {"purge_decommits", "mimalloc", ""},
    {"allow_large_os_pages", "mimalloc", "huge"},
    {"large_os_pages", "mimalloc", "huge"},
    {"reserve_huge_os_pages", "mimalloc", "huge"},
    {"arena_max", "glibc", ""},
    {"arena_test", "glibc", ""},
    {"tcache_count", "glibc", ""},
    {"tcache_unsorted_limit", "glibc", ""},
    {"mmap_threshold", "glibc", ""},
    {"mmap_max", "glibc", ""},
    {"top_pad", "glibc", "purge_keep"},
    {"trim_threshold", "glibc", "purge_keep"},
    {"perturb", "glibc", "check"},
    {"hugetlb", "glibc", "huge"},
    {"release_rate", "tcmalloc", "purge_delay"},
};

/* jemalloc's opt.NAME, glibc.malloc.NAME, MIMALLOC_NAME, MALLOC_NAME_. `key` is in lower case. */
static tmi_slice_t bare(tmi_slice_t key)
{
    tmi_slice_t rest = key, last = key;
    while (rest.length > 0)
        last = tmi_slice_cut(&rest, '.');
    static const char prefixes[][12] = {"mimalloc_", "malloc_", "m_"};
    for (size_t i = 0; i < TMI_COUNT_OF(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (last.length > n && memcmp(last.at, prefixes[i], n) == 0) {
            last = (tmi_slice_t){last.at + n, last.length - n};
            break;
        }
    }
    if (last.length > 0 && last.at[last.length - 1] == '_')
        last.length--;
    return last;
}

static bool is_of_another(const char *text, tmi_slice_t key)
{
    for (size_t i = 0; i < TMI_COUNT_OF(others); i++) {
        if (!tmi_slice_same(bare(key), tmi_slice_of(others[i].name)))
            continue;
        if (others[i].ours[0] == '\0')
            tmi_report("option %s is one of %s, nothing here corresponds to it; ignored", text, others[i].whose);
        else
            tmi_report("option %s is one of %s, did you mean %s? ignored", text, others[i].whose, others[i].ours);
        return true;
    }
    return false;
}

void tmi_option_hint_key(tmi_slice_t item, tmi_slice_t key)
{
    char text[TMI_OPTION_TEXT_MAX], value_text[TMI_OPTION_TEXT_MAX], low[TMI_OPTION_TEXT_MAX];
    tmi_slice_t value = key, name = tmi_slice_cut(&value, '=');
    tmi_slice_copy(text, sizeof text, name.length < key.length ? item : key);
    tmi_slice_t lower = lowered(low, sizeof low, name);
    if (name.length < key.length && tmi_option_row(lower) != NULL) {
        tmi_slice_copy(value_text, sizeof value_text, (tmi_slice_t){value.at, item.length - name.length - 1});
        tmi_report("option %s has '=' for ':', did you mean %s:%s? ignored", text, low, value_text);
    } else if (!is_of_another(text, lower)) {
        tmi_report("option %s is unknown, did you mean %s? ignored", text, nearest_name(lower));
    }
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* The option's present value, which it keeps. */
static const char *current(const tmi_option_row_t *row, char *buf)
{
    (void)tmi_option_value(row, buf, TMI_OPTION_TEXT_MAX);
    return buf;
}

static tmi_slice_t nearest_choice(const char *choices, tmi_slice_t value)
{
    tmi_slice_t rest = tmi_slice_of(choices), nearest = {"", 0};
    for (unsigned best = ~0u; rest.length > 0;) {
        tmi_slice_t c = tmi_slice_cut(&rest, '|');
        if (distance(c, value) < best) {
            best = distance(c, value);
            nearest = c;
        }
    }
    return nearest;
}

/* Other words for on and off. */
static tmi_slice_t translated(tmi_slice_t value)
{
    static const struct {
        const char word[10], ours[4];
    } words[] = {
        {"yes", "on"},  {"y", "on"},  {"true", "on"},   {"t", "on"},  {"1", "on"},  {"enable", "on"},
        {"enabled", "on"},
        {"no", "off"},  {"n", "off"}, {"false", "off"}, {"f", "off"}, {"0", "off"}, {"disable", "off"},
        {"disabled", "off"},
        {"none", "off"},
    };
    for (size_t i = 0; i < TMI_COUNT_OF(words); i++)
        if (tmi_slice_same(value, tmi_slice_of(words[i].word)))
            return tmi_slice_of(words[i].ours);
    return value;
}

void tmi_option_hint_choice(const tmi_option_row_t *row, tmi_slice_t value)
{
    char text[TMI_OPTION_TEXT_MAX], low[TMI_OPTION_TEXT_MAX], right[TMI_OPTION_TEXT_MAX], now[TMI_OPTION_TEXT_MAX];
    tmi_slice_t lower = lowered(low, sizeof low, value), meant = translated(lower);
    if (tmi_option_choice(row->choices, meant) < 0)
        meant = nearest_choice(row->choices, lower);
    tmi_slice_copy(text, sizeof text, value);
    tmi_slice_copy(right, sizeof right, meant);
    tmi_report("option %s:%s is unknown, did you mean %s:%s? using %s", row->name, text, row->name, right,
               current(row, now));
}

/* How many grains a unit has; the grain is ms, KiB or %. 0: the unit is unknown, or of another kind. */
static uint64_t unit_in(const char *grain, tmi_slice_t unit)
{
    static const struct {
        const char unit[4], grain[4];
        uint64_t factor;
    } units[] = {
        {"ms", "ms", 1}, {"s", "ms", 1000}, {"sec", "ms", 1000}, {"m", "ms", 60000},
        {"min", "ms", 60000}, {"h", "ms", 3600000}, {"s", "s", 1}, {"sec", "s", 1}, {"m", "s", 60},
        {"min", "s", 60}, {"h", "s", 3600}, {"k", "KiB", 1}, {"kb", "KiB", 1}, {"kib", "KiB", 1},
        {"m", "KiB", 1024}, {"mb", "KiB", 1024}, {"mib", "KiB", 1024}, {"g", "KiB", 1 << 20},
        {"gb", "KiB", 1 << 20}, {"gib", "KiB", 1 << 20}, {"%", "%", 1},
    };
    for (size_t i = 0; i < TMI_COUNT_OF(units); i++)
        if (strcmp(grain, units[i].grain) == 0 && tmi_slice_same(unit, tmi_slice_of(units[i].unit)))
            return units[i].factor;
    return 0;
}

void tmi_option_hint_number(const tmi_option_row_t *row, tmi_slice_t value)
{
    char text[TMI_OPTION_TEXT_MAX], low[TMI_OPTION_TEXT_MAX], now[TMI_OPTION_TEXT_MAX];
    tmi_slice_t lower = lowered(low, sizeof low, value), digits = {lower.at, 0};
    while (digits.length < lower.length && lower.at[digits.length] >= '0' && lower.at[digits.length] <= '9')
        digits.length++;
    tmi_slice_t unit = {lower.at + digits.length, lower.length - digits.length};
    const char *of = row->choices[0] != '\0' ? " of " : "";
    uint32_t n = 0;
    bool has_unit = tmi_option_number(digits, &n) && unit.length > 0;
    uint64_t meant = n * unit_in(row->choices, unit);
    tmi_slice_copy(text, sizeof text, value);
    if (has_unit && unit_in(row->choices, unit) != 0 && meant <= TMI_OPTION_NUMBER_MAX)
        tmi_report("option %s:%s is not a number%s%s, did you mean %s:%u? using %s", row->name, text, of, row->choices,
                   row->name, (unsigned)meant, current(row, now));
    else
        tmi_report("option %s:%s is not a number%s%s from 0 to 1000000000%s, using %s", row->name, text, of,
                   row->choices, has_unit ? " without a unit" : "", current(row, now));
}
