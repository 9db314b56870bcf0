#include "heapcalls.h"
#include "support.h"
#include "tinymem/tinymem.h"

#include <cmocka.h>

/* The symbol, which check builds verify; where it is called by name it is inlined. */
static void *(*volatile deref)(tm_handle_t) = tm_deref;

static int look_up(void *in_scope)
{
    tm_handle_t h = tm_alloc(100);
    if (in_scope != NULL)
        tm_scope_enter();
    void *p = deref(h);
    if (in_scope != NULL)
        tm_scope_exit();
    return p == NULL;
}

static void deref_outside_a_scope_is_reported(void **state)
{
    (void)state;
#if !TMI_CHECK
    skip(); // only check builds look
#endif
    outcome_t o = run_child(look_up, NULL, 10);
    assert_true(aborted_saying(&o, "tinymem: tm_deref(*): this thread is in no scope"));
}

static void control_deref_in_a_scope_is_not(void **state)
{
    (void)state;
    outcome_t o = run_child(look_up, "in one", 10);
    assert_true(exited(&o, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deref_outside_a_scope_is_reported),
        cmocka_unit_test(control_deref_in_a_scope_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
