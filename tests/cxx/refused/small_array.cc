// refused: tinymem: the movable heap stores objects: not references, functions, void or arrays
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    auto h = tinymem::make<int[]>(5);
#else
    auto h = tinymem::make_small<int[]>(5);
#endif
}
