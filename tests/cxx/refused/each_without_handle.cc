// refused: tinymem: each calls its callable with a tm_handle_t
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    tinymem::each([](tm_handle_t) {});
#else
    tinymem::each([] {});
#endif
}
