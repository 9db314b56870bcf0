// refused: view
#include <tinymem/tinymem.hpp>
int main()
{
    tinymem::string s("text");
    tinymem::scope open;
#if CONTROL
    return static_cast<int>(s.view(open).size());
#else
    return static_cast<int>(s.view().size());
#endif
}
