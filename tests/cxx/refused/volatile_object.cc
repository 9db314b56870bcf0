// refused: tinymem: a volatile object must not be moved
#include <tinymem/tinymem.hpp>
#if CONTROL
int main() { auto h = tinymem::make<int>(); }
#else
int main() { auto h = tinymem::make<volatile int>(); }
#endif
