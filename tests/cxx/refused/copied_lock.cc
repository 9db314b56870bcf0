// refused: deleted
#include <tinymem/tinymem.hpp>
int main()
{
    auto h = tinymem::make<int>(3);
    auto held = h.lock();
#if CONTROL
    auto other = std::move(held);
#else
    auto other = held;
#endif
}
