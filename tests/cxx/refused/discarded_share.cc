// refused: nodiscard
#include <tinymem/tinymem.hpp>
#pragma GCC diagnostic error "-Wunused-result"
int main()
{
    tinymem::set_mover(tinymem::mover_mode::manual);
#if CONTROL
    return tinymem::set_mover(tinymem::mover_mode::manual, 500) ? 0 : 1;
#else
    tinymem::set_mover(tinymem::mover_mode::manual, 500);
#endif
}
