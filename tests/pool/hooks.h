/* hooks.h - the pool's hooks as the tests use them: forced into every file of a test build by -include. They count what
 * the pool does, independently of its own accounts; the fake clock goes by what has been done. */
#ifndef POOL_TESTS_HOOKS_H
#define POOL_TESTS_HOOKS_H

extern unsigned long hook_visits, hook_moved;
#define TM_POOL_ON_VISIT(pool) ((void)++hook_visits)
#define TM_POOL_ON_MOVE(pool, bytes) ((void)(hook_moved += (bytes)))

#endif
