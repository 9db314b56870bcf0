/** figures.hpp - where the memory is, and which version is in use: the figures of <tinymem/tinymem.h> and
 *  <tinymem/heap.h>. */
#ifndef TINYMEM_CXX_FIGURES_HPP
#define TINYMEM_CXX_FIGURES_HPP

#include <vector>

#include <tinymem/cxx/base.hpp>
#include <tinymem/heap.h>

namespace tinymem {

/** Version of the library in use, "major.minor.patch". Static storage. Any thread, any time. */
[[nodiscard]] inline const char *version() noexcept { return tm_version(); }

/** Figures of the movable heap. Any thread. */
[[nodiscard]] inline tm_stats_t stats() noexcept
{
    tm_stats_t s{};
    s.struct_size = sizeof s;
    tm_stats(&s);
    return s;
}

/** Figures of both heaps, without those of each size class. Any thread; signal handlers too. */
[[nodiscard]] inline tm_heap_stats_t heap_stats() noexcept
{
    tm_heap_stats_t s{};
    s.struct_size = sizeof s;
    tm_heap_stats(&s);
    return s;
}

/** Figures of each size class of both heaps. Throws std::bad_alloc. Any thread. */
[[nodiscard]] inline std::vector<tm_heap_class_t> heap_classes()
{
    std::vector<tm_heap_class_t> classes(TM_HEAP_CLASSES_MAX);
    tm_heap_stats_t s{};
    s.struct_size = sizeof s;
    s.classes = classes.data();
    s.class_size = sizeof(tm_heap_class_t);
    s.max_classes = classes.size();
    tm_heap_stats(&s);
    if (s.nclasses < classes.size())
        classes.resize(s.nclasses);
    return classes;
}

namespace detail {

/* The text that a function of C writes as snprintf does. The heap may change between two calls. */
inline std::string whole_text(std::size_t (*write)(char *, std::size_t))
{
    std::string text(16384, '\0');
    for (;;) {
        const std::size_t n = write(&text[0], text.size());
        if (n == 0)
            out_of_memory();
        const bool whole = n < text.size();
        text.resize(whole ? n : n + n / 4 + 1);
        if (whole)
            return text;
    }
}

} // namespace detail

/** All figures as one line of JSON. Throws std::bad_alloc. Any thread. */
[[nodiscard]] inline std::string stats_json() { return detail::whole_text(tm_stats_json); }

/** All figures in Prometheus' text exposition format. Throws std::bad_alloc. Any thread. */
[[nodiscard]] inline std::string stats_prometheus() { return detail::whole_text(tm_stats_prometheus); }

} // namespace tinymem

#endif
