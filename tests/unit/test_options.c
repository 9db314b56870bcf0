/* TINYMEM=key:value,...: what is right is taken; what is wrong costs one line with the nearest right one, and the
 * default stands. */
#include "os/options.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What this program has compiled in; the environment counts for more. */
const char *tm_options = "purge_delay:1,purge_keep:33";

static int parse(void *text)
{
    tmi_options_parse(text);
    return 0;
}

/* Parse in a child; what it complained about. Returns the number of lines. */
static size_t complaints(const char *text, outcome_t *o)
{
    *o = run_child(parse, (void *)(uintptr_t)text, 10);
    assert_true(exited(o, 0));
    size_t lines = 0;
    for (const char *p = o->text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    return lines;
}

static void defaults_stand_without_a_text(void **state)
{
    (void)state;
    memset(&tmi_options, 0x5a, sizeof tmi_options);
    tmi_options_parse(NULL);
    assert_int_equal(tmi_options.check, TMI_CHECK_FAST);
    assert_int_equal(tmi_options.stats, 0);
    assert_int_equal(tmi_options.background, 0);
    assert_int_equal(tmi_options.verbose, 0);
    assert_int_equal(tmi_options.huge, 0);
    assert_string_equal(tmi_options.stats_file, "");
    uint32_t delay = tmi_options.purge_delay;
    tmi_options_parse("");
    assert_int_equal(tmi_options.purge_delay, delay);
}

static void values_are_taken(void **state)
{
    (void)state;
    tmi_options_parse(
        "check:full,stats:on,stats_file:/some/where.txt,purge_delay:7,purge_keep:0,background:on,huge:on,verbose:on");
    assert_int_equal(tmi_options.check, TMI_CHECK_FULL);
    assert_int_equal(tmi_options.stats, 1);
    assert_string_equal(tmi_options.stats_file, "/some/where.txt");
    assert_int_equal(tmi_options.purge_delay, 7);
    assert_int_equal(tmi_options.purge_keep, 0);
    assert_int_equal(tmi_options.background, 1);
    assert_int_equal(tmi_options.huge, 1);
    assert_int_equal(tmi_options.verbose, 1);
}

static void the_last_value_wins_and_parsing_starts_afresh(void **state)
{
    (void)state;
    tmi_options_parse("purge_delay:1,purge_delay:2,,");
    assert_int_equal(tmi_options.purge_delay, 2);
    tmi_options_parse("stats:on");
    assert_int_not_equal(tmi_options.purge_delay, 2);
}

static void a_good_text_says_nothing(void **state)
{
    (void)state;
    outcome_t o;
    assert_int_equal(complaints("check:full,huge:on,purge_delay:1000000000", &o), 0);
    assert_int_equal(complaints(NULL, &o), 0);
}

static void a_misspelt_key_names_the_nearest(void **state)
{
    (void)state;
    outcome_t o;
    static const struct { const char *text, *nearest; } cases[] = {
        {"chek:full", "did you mean check?"},
        {"purgedelay:5", "did you mean purge_delay?"},
        {"purge_kep:5", "did you mean purge_keep?"},
        {"verbos:on", "did you mean verbose?"},
        {"backgrund:on", "did you mean background?"},
        {"stat_file:x", "did you mean stats_file?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(complaints(cases[i].text, &o), 1);
        assert_memory_equal(o.text, "tinymem: option ", 16);
        assert_non_null(strstr(o.text, cases[i].nearest));
    }
}

static void a_misspelt_choice_names_the_nearest(void **state)
{
    (void)state;
    outcome_t o;
    assert_int_equal(complaints("check:ful", &o), 1);
    assert_non_null(strstr(o.text, "did you mean check:full?"));
    assert_int_equal(complaints("stats:onn", &o), 1);
    assert_non_null(strstr(o.text, "did you mean stats:on?"));
    assert_int_equal(complaints("huge:of", &o), 1);
    assert_non_null(strstr(o.text, "did you mean huge:off?"));
}

static int parse_and_compare(void *text)
{
    tmi_options_t defaults;
    tmi_options_parse(NULL);
    defaults = tmi_options;
    tmi_options_parse(text);
    return memcmp(&defaults, &tmi_options, sizeof defaults) == 0 ? 0 : 1;
}

static void a_bad_value_keeps_the_default(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "check:",
        "check",
        "check:FULL",
        "purge_delay:",
        "purge_delay:x",
        "purge_delay:-1",
        "purge_delay:1x",
        "purge_delay:1000000001",
        "purge_delay:99999999999999999999999",
        "stats:yes",
        "huge:",
        ":",
        ":on",
        "=",
        "check=full",
        "stats:on:off",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        outcome_t o = run_child(parse_and_compare, (void *)(uintptr_t)bad[i], 10);
        assert_true(exited(&o, 0));
        assert_non_null(strstr(o.text, "tinymem: option "));
    }
}

typedef struct slip {
    const char *text, *hint;
} slip_t;

/* Each is one line that has the hint. */
static void expect_hints(const slip_t *slips, size_t n)
{
    outcome_t o;
    for (size_t i = 0; i < n; i++) {
        size_t lines = complaints(slips[i].text, &o);
        if (lines != 1 || strstr(o.text, slips[i].hint) == NULL)
            fail_msg("%s: %s", slips[i].text, o.text);
    }
}

static void common_slips_get_one_line_with_what_was_meant(void **state)
{
    (void)state;
    static const slip_t slips[] = {
        {"check=full", "option check=full has '=' for ':', did you mean check:full?"},
        {"HUGE=on", "did you mean huge:on?"},
        {"stats_file=/a:b", "did you mean stats_file:/a:b?"},
        {"huge:yes", "did you mean huge:on?"},
        {"huge:TRUE", "did you mean huge:on?"},
        {"huge:1", "did you mean huge:on?"},
        {"background:no", "did you mean background:off?"},
        {"verbose:0", "did you mean verbose:off?"},
        {"stale:REPORT", "did you mean stale:report?"},
        {"CHECK:full", "did you mean check?"},
        {"purge-delay:1", "did you mean purge_delay?"},
        {"purge_delay:5s", "did you mean purge_delay:5000? using 5000"},
        {"purge_delay:2min", "did you mean purge_delay:120000?"},
        {"batch_kib:64MB", "did you mean batch_kib:65536?"},
        {"purge_keep:5%", "did you mean purge_keep:5?"},
        {"purge_delay:64MB", "is not a number of ms from 0 to 1000000000 without a unit"},
        {"batch_kib:9999999GB", "is not a number of KiB from 0 to 1000000000 without a unit"},
        {"stats_signal:x", "is not a number from 0 to"},
    };
    expect_hints(slips, sizeof slips / sizeof *slips);
}

static void options_of_other_allocators_are_known(void **state)
{
    (void)state;
    static const slip_t slips[] = {
        {"narenas:4", "one of jemalloc, nothing here corresponds to it"},
        {"decay:4", "one of jemalloc, did you mean purge_delay?"},
        {"opt.dirty_decay_ms:4", "one of jemalloc, did you mean purge_delay?"},
        {"glibc.malloc.arena_max=2", "one of glibc, nothing here"},
        {"MALLOC_ARENA_MAX:1", "one of glibc, nothing here"},
        {"MIMALLOC_SHOW_STATS=1", "one of mimalloc, did you mean stats?"},
    };
    expect_hints(slips, sizeof slips / sizeof *slips);
}

static void wrong_separators_are_said_once_and_read(void **state)
{
    (void)state;
    static const slip_t slips[] = {
        {"purge_delay:3;purge_keep:4;huge:on", "separated by ',' and not by ';'"},
        {"purge_delay:3 purge_keep:4 huge:on", "separated by ',' and not by blanks"},
        {"stats_file:/a b;huge:on", "separated by ',' and not by ';'"},
    };
    expect_hints(slips, sizeof slips / sizeof *slips);
    outcome_t o;
    assert_int_equal(complaints(" purge_delay:3 , huge:on; ,\thelpless:1\n", &o), 1); // only of the last
    tmi_options_parse(" purge_delay:3 , huge:on; ,purge_keep:4\n");
    assert_int_equal(tmi_options.purge_delay, 3);
    assert_int_equal(tmi_options.huge, 1);
    assert_int_equal(tmi_options.purge_keep, 4);
}

static void paths_may_have_blanks_and_semicolons(void **state)
{
    (void)state;
    outcome_t o;
    assert_int_equal(complaints("stats_file:/a b;c:d e;", &o), 0);
    tmi_options_parse("stats_file:/a b;c:d e;,huge:on");
    assert_string_equal(tmi_options.stats_file, "/a b;c:d e;");
    assert_int_equal(tmi_options.huge, 1);
}

static int wrong_over_compiled_in(void *unused)
{
    (void)unused;
    tmi_options_parse("purge_keep:33,background:off");
    tmi_options_add("purge_keep:x,background:x");
    return tmi_options.purge_keep == 33 && tmi_options.background == TMI_BACKGROUND_OFF ? 0 : 1;
}

static void a_complaint_names_the_value_that_stands(void **state)
{
    (void)state;
    outcome_t o = run_child(wrong_over_compiled_in, NULL, 10);
    assert_true(exited(&o, 0));
    assert_non_null(strstr(o.text, "using 33\n"));
    assert_non_null(strstr(o.text, "using off\n"));
}

static void live_options_are_set_and_read_back(void **state)
{
    (void)state;
    char text[TMI_PATH_MAX];
    tmi_options_parse("stats_file:/a/b");
    assert_int_equal(tmi_options_set("purge_delay", "7"), 0);
    assert_int_equal(tmi_option(purge_delay), 7);
    assert_int_equal(tmi_options_set("stale", "report"), 0);
    assert_int_equal(tmi_option(stale), TMI_STALE_REPORT);
    assert_int_equal(tmi_options_get("purge_delay", text, sizeof text), 0);
    assert_string_equal(text, "7");
    assert_int_equal(tmi_options_get("stale", text, 7), 0); // just enough room
    assert_string_equal(text, "report");
    assert_int_equal(tmi_options_get("stats_file", text, sizeof text), 0);
    assert_string_equal(text, "/a/b");
#define TMI_OPTION(kind, name, value, choices, help) assert_int_equal(tmi_options_get(#name, text, sizeof text), 0);
#include "os/options.def"
#undef TMI_OPTION
    tmi_options_parse(NULL);
}

static void what_cannot_be_set_says_why(void **state)
{
    (void)state;
    char text[8] = "before";
    tmi_options_parse(NULL);
    tmi_options_t before = tmi_options;
    assert_int_equal(tmi_options_set("no_such", "1"), ENOENT);
    assert_int_equal(tmi_options_set("", ""), ENOENT);
    assert_int_equal(tmi_options_set("check", "full"), EPERM);
    assert_int_equal(tmi_options_set("stats_file", "/a"), EPERM);
    assert_int_equal(tmi_options_set("purge_delay", ""), EINVAL);
    assert_int_equal(tmi_options_set("purge_delay", "1s"), EINVAL);
    assert_int_equal(tmi_options_set("purge_delay", "1000000001"), EINVAL);
    assert_int_equal(tmi_options_set("stale", "Abort"), EINVAL);
    assert_memory_equal(&before, &tmi_options, sizeof before);
    assert_int_equal(tmi_options_get("no_such", text, sizeof text), ENOENT);
    assert_int_equal(tmi_options_get("stale", text, 5), ERANGE);
    assert_int_equal(tmi_options_get("stale", text, 0), ERANGE);
    assert_string_equal(text, "before");
}

static void a_bad_item_does_not_hurt_its_neighbours(void **state)
{
    (void)state;
    outcome_t o = run_child(parse, (void *)(uintptr_t)"purge_delay:3,nonsense:1,purge_keep:4", 10);
    assert_true(exited(&o, 0));
    tmi_options_parse("purge_delay:3,purge_keep:4");
    assert_int_equal(tmi_options.purge_delay, 3);
    assert_int_equal(tmi_options.purge_keep, 4);
}

static void long_and_wild_texts_are_survived(void **state)
{
    (void)state;
    static char text[5000];
    rng_t r = {7};
    for (int round = 0; round < 200; round++) {
        size_t n = rng_below(&r, sizeof text - 1);
        for (size_t i = 0; i < n; i++) // mostly letters and separators
            text[i] = "abcdefghijklmnopqrstuvwxyz_:,019\x01\xff; =%KM."[rng_below(&r, 41)];
        text[n] = '\0';
        outcome_t o;
        (void)complaints(text, &o);
    }
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "stats_file:", 11);
    outcome_t o;
    assert_int_equal(complaints(text, &o), 1);
    assert_int_equal(run_child(parse_and_compare, text, 10).status, 0);
}

static void help_lists_every_option_with_its_default(void **state)
{
    (void)state;
    outcome_t o;
    size_t lines = complaints("help", &o), rows = 0;
#define TMI_OPTION(kind, name, value, choices, help) \
    rows++;                                          \
    assert_non_null(strstr(o.text, "  " #name ":" value "  ("));
#include "os/options.def"
#undef TMI_OPTION
    assert_int_equal(lines, rows + 1);
}

static void describe_can_be_parsed_again(void **state)
{
    (void)state;
    char text[512], again[512];
    tmi_options_parse("check:full,purge_delay:12,huge:on,stats_file:/a/b");
    tmi_options_t wanted = tmi_options;
    size_t n = tmi_options_describe(text, sizeof text);
    assert_int_equal(n, strlen(text));
    tmi_options_parse(text);
    assert_memory_equal(&wanted, &tmi_options, sizeof wanted);
    for (size_t size = 2; size < n; size++) { // cut short, but terminated and inside
        memset(again, '#', sizeof again);
        size_t m = tmi_options_describe(again, size);
        assert_true(m < size && again[m] == '\0' && again[size] == '#');
        assert_memory_equal(again, text, m);
    }
}

static int from_environment(void *unused)
{
    (void)unused;
    tmi_options_init();
    return tmi_options.purge_delay == 77 && tmi_options.purge_keep == 33 ? 0 : 1;
}

static void rows_are_those_of_the_table(void **state)
{
    char text[2000] = "", described[2000];
    tmi_option_text_t o;
    size_t n = 0;
    (void)state;
    for (; tmi_options_row(n, &o); n++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%s:%s", n > 0 ? "," : "", o.name, o.value);
        assert_true(strlen(o.help) > 10);
        assert_true(strcmp(o.kind, "flag") == 0 || strcmp(o.kind, "number") == 0 || strcmp(o.kind, "choice") == 0 ||
                    strcmp(o.kind, "path") == 0);
    }
    assert_false(tmi_options_row(n + 1, &o));
    tmi_options_parse(NULL);
    (void)tmi_options_describe(described, sizeof described);
    assert_string_equal(text, described); // names and defaults, in order
}

/* The initial environment is what the program was started with: see main. */
static void init_takes_the_programs_options_and_then_the_environment(void **state)
{
    (void)state;
    outcome_t o = run_child(from_environment, NULL, 10);
    assert_true(exited(&o, 0));
}

int main(int argc, char **argv)
{
    (void)argc;
    if (getenv("TINYMEM") == NULL) { // start again with one: later changes by setenv do not count
        (void)setenv("TINYMEM", "purge_delay:77", 1);
        (void)execv("/proc/self/exe", argv);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_without_a_text),
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(the_last_value_wins_and_parsing_starts_afresh),
        cmocka_unit_test(a_good_text_says_nothing),
        cmocka_unit_test(a_misspelt_key_names_the_nearest),
        cmocka_unit_test(a_misspelt_choice_names_the_nearest),
        cmocka_unit_test(a_bad_value_keeps_the_default),
        cmocka_unit_test(a_bad_item_does_not_hurt_its_neighbours),
        cmocka_unit_test(long_and_wild_texts_are_survived),
        cmocka_unit_test(help_lists_every_option_with_its_default),
        cmocka_unit_test(describe_can_be_parsed_again),
        cmocka_unit_test(rows_are_those_of_the_table),
        cmocka_unit_test(init_takes_the_programs_options_and_then_the_environment),
        cmocka_unit_test(common_slips_get_one_line_with_what_was_meant),
        cmocka_unit_test(options_of_other_allocators_are_known),
        cmocka_unit_test(wrong_separators_are_said_once_and_read),
        cmocka_unit_test(paths_may_have_blanks_and_semicolons),
        cmocka_unit_test(a_complaint_names_the_value_that_stands),
        cmocka_unit_test(live_options_are_set_and_read_back),
        cmocka_unit_test(what_cannot_be_set_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
