// refused: tinymem: on_batch calls its callable with a const batch &
#include <tinymem/tinymem.hpp>
int main()
{
#if CONTROL
    tinymem::on_batch report([](const tinymem::batch &) {});
#else
    tinymem::on_batch report([] {});
#endif
}
