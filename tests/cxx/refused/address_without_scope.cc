// refused: no matching
#include <tinymem/tinymem.hpp>
int main()
{
    auto h = tinymem::make_small<int>(3);
    tinymem::scope open;
#if CONTROL
    return *h.in(open);
#else
    return *h.in();
#endif
}
