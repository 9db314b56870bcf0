// refused: std::chrono::microseconds
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    return tinymem::compact_step(std::chrono::milliseconds(5)) ? 1 : 0;
#else
    return tinymem::compact_step(5) ? 1 : 0;
#endif
}
