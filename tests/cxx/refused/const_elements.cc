// refused: tinymem: a tinymem::vector has no const elements; make the vector const
#include <tinymem/tinymem.hpp>
#if CONTROL
int main() { const tinymem::vector<int> v; }
#else
int main() { tinymem::vector<const int> v; }
#endif
