// refused: needs C++17 or later
// standard: c++14
#if !CONTROL
#include <tinymem/tinymem.hpp>
#endif
int main() {}
