// refused: nodiscard
#include <tinymem/tinymem.hpp>
#pragma GCC diagnostic error "-Wunused-result"
#pragma GCC diagnostic error "-Wunused-value"
int main()
{
#if CONTROL
    tinymem::on_batch report([](const tinymem::batch &) {});
#else
    tinymem::on_batch([](const tinymem::batch &) {});
#endif
}
