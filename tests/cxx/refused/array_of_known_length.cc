// refused: tinymem: write tinymem::make<T[]>(n) for an array
#include <tinymem/tinymem.hpp>
#if CONTROL
int main() { auto h = tinymem::make<int[]>(3); }
#else
int main() { auto h = tinymem::make<int[3]>(); }
#endif
