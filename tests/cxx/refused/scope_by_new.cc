// refused: deleted
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    tinymem::scope open;
#else
    auto open = std::make_unique<tinymem::scope>();
#endif
}
