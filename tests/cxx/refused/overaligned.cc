// refused: tinymem: movable objects are aligned to 2 MiB at most
#include <tinymem/tinymem.hpp>
#if CONTROL
struct alignas(2 << 20) big {
#else
struct alignas(4 << 20) big {
#endif
    int x;
};
int main() { auto h = tinymem::make<big>(); }
