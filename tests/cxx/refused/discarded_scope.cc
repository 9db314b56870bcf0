// refused: nodiscard
#include <tinymem/tinymem.hpp>
#pragma GCC diagnostic error "-Wunused-result"
#pragma GCC diagnostic error "-Wunused-value"
int main()
{
    tinymem::handle<int> h;
#if CONTROL
    return h.in(tinymem::scope()) != nullptr;
#else
    tinymem::scope();
    return 0;
#endif
}
