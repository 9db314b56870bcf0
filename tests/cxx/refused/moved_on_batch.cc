// refused: deleted
#include <tinymem/tinymem.hpp>
int main()
{
    tinymem::on_batch report([](const tinymem::batch &) {});
#if CONTROL
    auto &other = report;
#else
    auto other = std::move(report);
#endif
    (void)other;
}
