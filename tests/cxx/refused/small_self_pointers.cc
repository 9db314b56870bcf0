// refused: tinymem: objects of this type may not survive a move
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    auto h = tinymem::make_small<tinymem::string>("text");
#else
    auto h = tinymem::make_small<std::string>("text");
#endif
}
