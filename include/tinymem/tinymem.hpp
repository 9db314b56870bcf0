/** tinymem.hpp - the movable heap in C++17 and later: owners, pins, scopes, and containers whose storage can move.
 *
 *      auto h = tinymem::make<point>(3, 4);          // owns a movable object
 *      h->x = 5;                                // pinned until the end of the expression
 *      if (auto p = tinymem::ref<point>(h).pin())    // null when the object is gone
 *          use(p->x, p->y);                     // does not move while p lives
 *
 *      tinymem::vector<tinymem::string> lines;
 *      lines.emplace_back("moved by the library, never by you");
 *      for (tinymem::string &line : lines)           // the iterators hold a scope: no line moves in the loop
 *          line += '\n';
 *
 *  Header-only, but link with -ltinymem or -ltinymem-handles. The parts are in <tinymem/cxx/>; include this file only.
 *  What each function of the C interface is here stands in include/tinymem/cxx/README.md.
 *
 *  Rules that hold for everything here:
 *   - An address is good while something holds it: a tinymem::pinned, a tinymem::scope, an iterator, or an element
 *     such as v[i]. All of these belong to the thread that made them and end on it. Keep them short: they delay
 *     compaction. A tinymem::locked and a tinymem::mover_pause may last, and end on any thread.
 *   - Objects move by copying their bytes. Only types for which tinymem::is_relocatable is true are accepted.
 *   - Out of memory throws std::bad_alloc; nothing else is thrown but what the program's own types throw. Without
 *     exceptions (-fno-exceptions) it prints a line and aborts. The try_ functions return null or false in both cases.
 *   - An operation that throws leaves its container as it was, unless its comment says otherwise.
 *   - Thread safety as in the standard library: several threads may read one container, or use different ones.
 *   - The namespace is tinymem, since ::tm is a structure of <time.h>.
 *   - A moved-from owner or container is empty and can be used again. */
#ifndef TINYMEM_TINYMEM_HPP
#define TINYMEM_TINYMEM_HPP

#include <tinymem/cxx/base.hpp>
#include <tinymem/cxx/relocatable.hpp>
#include <tinymem/cxx/mover.hpp>
#include <tinymem/cxx/locked.hpp>
#include <tinymem/cxx/pinned.hpp>
#include <tinymem/cxx/handle.hpp>
#include <tinymem/cxx/small_handle.hpp>
#include <tinymem/cxx/each.hpp>
#include <tinymem/cxx/element.hpp>
#include <tinymem/cxx/vector.hpp>
#include <tinymem/cxx/string.hpp>
#include <tinymem/cxx/hash_map.hpp>
#include <tinymem/cxx/allocator.hpp>
#include <tinymem/cxx/figures.hpp>
#include <tinymem/cxx/settings.hpp>

#endif
