// refused: deleted
#include <tinymem/tinymem.hpp>
int main()
{
    auto h = tinymem::make<int>(3);
#if CONTROL
    auto g = std::move(h);
#else
    auto g = h;
#endif
}
