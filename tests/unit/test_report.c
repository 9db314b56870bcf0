/* Messages: formatted like printf's subset, one line, one write, and an abort where one is promised. */
#include "os/os.h"
#include "os/report.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void directives_print_as_printf_does(void **state)
{
    (void)state;
    char ours[256], theirs[256];
    static const int ints[] = {0, 1, -1, 42, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        size_t n = tmi_format(ours, sizeof ours, "%d %u|%s|%c%%", ints[i], (unsigned)ints[i], "text", 'x');
        (void)snprintf(theirs, sizeof theirs, "%d %u|%s|%c%%", ints[i], (unsigned)ints[i], "text", 'x');
        assert_string_equal(ours, theirs);
        assert_int_equal(n, strlen(theirs));
    }
    static const size_t sizes[] = {0, 9, 10, 4294967296u, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        (void)tmi_format(ours, sizeof ours, "%zu %p", sizes[i], (void *)(sizes[i] | 1));
        (void)snprintf(theirs, sizeof theirs, "%zu %p", sizes[i], (void *)(sizes[i] | 1));
        assert_string_equal(ours, theirs);
    }
}

static void null_strings_and_pointers_are_printed(void **state)
{
    (void)state;
    char buf[64];
    const char *volatile none = NULL;
    (void)tmi_format(buf, sizeof buf, "%s %p", none, NULL);
    assert_string_equal(buf, "(null) 0x0");
}

static void a_short_buffer_is_terminated_and_not_overrun(void **state)
{
    (void)state;
    const char *whole = "abc 12345 0xdeadbeef";
    for (size_t size = 1; size <= 24; size++) {
        char buf[64];
        memset(buf, '#', sizeof buf);
        size_t n = tmi_format(buf, size, "abc %d %p", 12345, (void *)0xdeadbeef);
        assert_int_equal(n, strlen(whole) < size ? strlen(whole) : size - 1);
        assert_memory_equal(buf, whole, n);
        assert_int_equal(buf[n], '\0');
        assert_int_equal(buf[size], '#');
    }
}

static int say_one_line(void *unused)
{
    (void)unused;
    errno = 1234;
    tmi_report("%d things in %s", 3, "here");
    return errno == 1234 ? 0 : 1;
}

static void a_report_is_one_line_and_keeps_errno(void **state)
{
    (void)state;
    outcome_t o = run_child(say_one_line, NULL, 10);
    assert_true(exited(&o, 0));
    assert_string_equal(o.text, "tinymem: 3 things in here\n");
}

static int say_too_much(void *unused)
{
    (void)unused;
    static char text[4000];
    memset(text, 'y', sizeof text - 1);
    tmi_report("%s", text);
    return 0;
}

static void an_overlong_report_is_cut_to_one_line(void **state)
{
    (void)state;
    outcome_t o = run_child(say_too_much, NULL, 10);
    assert_true(exited(&o, 0));
    assert_in_range(strlen(o.text), 300, 480);
    assert_ptr_equal(strchr(o.text, '\n'), o.text + strlen(o.text) - 1);
}

static int fatal(void *unused)
{
    (void)unused;
    tmi_fatal("free", (void *)0x1234abcd, "double free");
}

static void fatal_names_function_and_pointer_and_aborts(void **state)
{
    (void)state;
    outcome_t o = run_child(fatal, NULL, 10);
    assert_true(aborted_saying(&o, "tinymem: free(0x1234abcd): double free"));
    assert_true(aborted_saying(&o, "tinymem: free(*): double free"));
}

static int breach(void *unused)
{
    (void)unused;
    volatile int two = 2;
    TMI_VERIFY(two == 2, "X1 holds");
    TMI_VERIFY(two == 3, "X2 does not");
    return 7;
}

static void a_broken_check_cites_its_invariant(void **state)
{
    (void)state;
    outcome_t o = run_child(breach, NULL, 10);
#if TMI_CHECK
    assert_non_null(strstr(o.text, "tinymem: internal check failed: X2 does not ("));
    assert_null(strstr(o.text, "X1"));
    assert_int_not_equal(o.status, 0);
#else
    assert_true(exited(&o, 7));
#endif
}

static int write_to_nowhere(void *unused)
{
    (void)unused;
    errno = 99;
    tmi_os_write(-1, "x", 1); // nobody to tell: gives up
    return errno == 99 ? 0 : 1;
}

static void a_failing_write_is_given_up(void **state)
{
    (void)state;
    outcome_t o = run_child(write_to_nowhere, NULL, 10);
    assert_true(exited(&o, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directives_print_as_printf_does),
        cmocka_unit_test(null_strings_and_pointers_are_printed),
        cmocka_unit_test(a_short_buffer_is_terminated_and_not_overrun),
        cmocka_unit_test(a_report_is_one_line_and_keeps_errno),
        cmocka_unit_test(an_overlong_report_is_cut_to_one_line),
        cmocka_unit_test(fatal_names_function_and_pointer_and_aborts),
        cmocka_unit_test(a_broken_check_cites_its_invariant),
        cmocka_unit_test(a_failing_write_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
