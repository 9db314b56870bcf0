// costs.cc - the same in C and in C++, N times: costs MODE N. tests/cxx/run counts the instructions.
#include <tinymem/tinymem.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

struct point {
    int x, y;
};

// Keeps x in the program, and its value unknown, without an instruction of its own.
#define KEEP(x) __asm__ volatile("" : "+r"(x)::"memory")

using loop_t = void (*)(tm_handle_t *, tm_ref_t *, long);

static point *at(void *p) { return static_cast<point *>(p); }

static const struct {
    const char *name;
    loop_t loop;
} loops[] = {
    {"empty", [](tm_handle_t *, tm_ref_t *, long n) {
         for (long i = 0; i < n; i++)
             KEEP(i);
     }},
    {"c-pin", [](tm_handle_t *h, tm_ref_t *, long n) {
         const tm_handle_t id = *h;
         for (long i = 0; i < n; i++) {
             int x = at(tm_pin(id))->x;
             KEEP(x);
             tm_unpin(id);
         }
     }},
    {"cxx-pin", [](tm_handle_t *h, tm_ref_t *, long n) {
         auto owner = tinymem::handle<point>::adopt(*h);
         for (long i = 0; i < n; i++) {
             auto p = owner.pin();
             int x = p->x;
             KEEP(x);
         }
         (void)owner.release();
     }},
    {"c-try", [](tm_handle_t *h, tm_ref_t *, long n) {
         const tm_handle_t id = *h;
         for (long i = 0; i < n; i++) {
             if (void *p = tm_try_pin(id)) {
                 int x = at(p)->x;
                 KEEP(x);
                 tm_unpin(id);
             }
         }
     }},
    {"cxx-try", [](tm_handle_t *h, tm_ref_t *, long n) {
         auto name = tinymem::ref<point>::from_id(*h);
         for (long i = 0; i < n; i++)
             if (auto p = name.pin()) {
                 int x = p->x;
                 KEEP(x);
             }
     }},
    {"c-ref", [](tm_handle_t *, tm_ref_t *r, long n) {
         const tm_ref_t ref = *r;
         for (long i = 0; i < n; i++) {
             int x = at(tm_pin_ref(ref))->x;
             KEEP(x);
             tm_unpin_ref(ref);
         }
     }},
    {"cxx-ref", [](tm_handle_t *, tm_ref_t *r, long n) {
         auto owner = tinymem::small_handle<point>::adopt(*r);
         for (long i = 0; i < n; i++) {
             auto p = owner.pin();
             int x = p->x;
             KEEP(x);
         }
         (void)owner.release();
     }},
    {"c-scope", [](tm_handle_t *h, tm_ref_t *, long n) {
         const tm_handle_t id = *h;
         for (long i = 0; i < n; i++) {
             tm_scope_enter();
             int x = at(tm_deref(id))->x;
             KEEP(x);
             tm_scope_exit();
         }
     }},
    {"cxx-scope", [](tm_handle_t *h, tm_ref_t *, long n) {
         auto owner = tinymem::handle<point>::adopt(*h);
         for (long i = 0; i < n; i++) {
             tinymem::scope open;
             int x = owner.in(open)->x;
             KEEP(x);
         }
         (void)owner.release();
     }},
    {"cxx-copy", [](tm_handle_t *h, tm_ref_t *, long n) { // the control
         tinymem::vector<int> v(1);
         KEEP(h);
         for (long i = 0; i < n; i++) {
             auto copy = v;
             int x = copy[0];
             KEEP(x);
         }
     }},
};

int main(int argc, char **argv)
{
    tm_handle_t h = tm_alloc(sizeof(point));
    tm_ref_t r = tm_ref(h);
    new (tm_pin(h)) point{1, 2};
    tm_unpin(h);
    KEEP(h);
    KEEP(r);
    for (const auto &l : loops)
        if (argc == 3 && std::strcmp(argv[1], l.name) == 0) {
            l.loop(&h, &r, std::atol(argv[2]));
            tm_free(h);
            return 0;
        }
    std::fprintf(stderr, "usage: costs MODE N\n");
    return 2;
}
