// refused: deleted
#include <tinymem/tinymem.hpp>
int main()
{
    tinymem::mover_pause pause;
#if CONTROL
    auto &other = pause;
#else
    auto other = pause;
#endif
    return &other == nullptr;
}
