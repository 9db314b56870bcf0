// refused: tinymem: objects of this type may not survive a move, since moving copies their bytes. If the type has no
// pointers into itself and nobody keeps its address, specialise tinymem::is_relocatable for it
#include <tinymem/tinymem.hpp>
#if CONTROL
using text = tinymem::string;
#else
using text = std::string;
#endif
int main() { tinymem::hash_map<int, text> m; }
