// refused: tinymem: a tinymem::ref has 8 bytes, or 4 without the generation
#include <tinymem/tinymem.hpp>
#if CONTROL
tinymem::ref<int, 4> r;
#else
tinymem::ref<int, 2> r;
#endif
int main() {}
