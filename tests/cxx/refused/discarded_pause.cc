// refused: nodiscard
#include <tinymem/tinymem.hpp>
#pragma GCC diagnostic error "-Wunused-result"
#pragma GCC diagnostic error "-Wunused-value"
int main()
{
#if CONTROL
    tinymem::mover_pause held;
#else
    tinymem::mover_pause{};
#endif
}
