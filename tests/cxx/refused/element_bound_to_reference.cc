// refused: non-const lvalue reference
#include <tinymem/tinymem.hpp>
int main()
{
    tinymem::vector<int> v{1};
#if CONTROL
    auto &&x = v[0];
#else
    auto &x = v[0];
#endif
    return x;
}
