// refused: nodiscard
#include <tinymem/tinymem.hpp>
#pragma GCC diagnostic error "-Wunused-result"
int main()
{
#if CONTROL
    return tinymem::set_option("huge", "on") ? 1 : 0;
#else
    tinymem::set_option("huge", "on");
#endif
}
