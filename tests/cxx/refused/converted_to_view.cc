// refused: string_view
#include <tinymem/tinymem.hpp>
int main()
{
    tinymem::string s("text");
    tinymem::scope open;
#if CONTROL
    std::string_view v = s.view(open);
#else
    std::string_view v = s;
#endif
    return static_cast<int>(v.size());
}
