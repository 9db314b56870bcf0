// refused: deleted
#include <tinymem/tinymem.hpp>
struct keeps {
    tinymem::scope open;
};
int main()
{
    keeps a;
#if CONTROL
    keeps &b = a;
#else
    keeps b = std::move(a);
#endif
    (void)b;
}
