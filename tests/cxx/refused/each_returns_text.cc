// refused: tinymem: the callable of each returns nothing, or whether to go on
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    tinymem::each([](tm_handle_t) { return std::string("x").empty(); });
#else
    tinymem::each([](tm_handle_t) { return std::string("x"); });
#endif
}
