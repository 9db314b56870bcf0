// A program replaces the basic forms of new and delete only. All other forms must go through them, as the standard
// says.
//
// Its blocks carry a header, so that a block which has gone round the replaced operator is noticed when it comes back.
#include "tap.h"

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsized-deallocation" // that only some are replaced is the point
#endif

static constexpr uint64_t mark = 0x7469646965727331;
static constexpr size_t header = 64;
static size_t made, deleted, strangers;
static bool refuse;

static void *make(size_t size, size_t align)
{
    if (refuse)
        throw std::bad_alloc();
    char *block = static_cast<char *>(aligned_alloc(align, (size + header + align - 1) / align * align + align));
    if (block == nullptr)
        throw std::bad_alloc();
    size_t room = std::max(header, align);
    memcpy(block + room - sizeof mark, &mark, sizeof mark);
    made++;
    return block + room;
}

static void unmake(void *object, size_t room)
{
    if (object == nullptr)
        return;
    uint64_t found;
    memcpy(&found, static_cast<char *>(object) - sizeof found, sizeof found);
    strangers += found != mark;
    if (found != mark)
        return;
    deleted++;
    std::free(static_cast<char *>(object) - room);
}

void *operator new(size_t size) { return make(size, 16); }
void operator delete(void *object) noexcept { unmake(object, header); }
void *operator new(size_t size, std::align_val_t align) { return make(size, static_cast<size_t>(align)); }
void operator delete(void *object, std::align_val_t align) noexcept
{
    unmake(object, std::max(header, static_cast<size_t>(align)));
}

struct thing {
    int key;
    char text[60];
    ~thing() { key = 0; }
    bool operator<(const thing &other) const { return key < other.key; }
};

struct alignas(128) wide {
    char bytes[256];
    ~wide() { bytes[0] = 0; }
};

template <typename F> static void goes_through(const char *what, size_t blocks, F use)
{
    size_t made_before = made, deleted_before = deleted;
    use();
    tap(made - made_before == blocks && deleted - deleted_before == blocks && strangers == 0,
        "%s: made %zu, deleted %zu of %zu, %zu strangers", what, made - made_before, deleted - deleted_before, blocks,
        strangers);
}

static thing *volatile a_thing;
static wide *volatile a_wide;

int main()
{
    goes_through("new and sized delete", 1, [] {
        a_thing = new thing;
        ::operator delete(static_cast<void *>(a_thing), sizeof(thing));
    });
    goes_through("an array", 1, [] { a_thing = new thing[10]; delete[] a_thing; });
    goes_through("sized delete of an array", 1, [] { ::operator delete[](::operator new[](100), size_t{100}); });
    goes_through("nothrow", 1, [] { a_thing = new (std::nothrow) thing; delete a_thing; });
    goes_through("nothrow and its own delete", 1,
                 [] { ::operator delete(::operator new(64, std::nothrow), std::nothrow); });
    goes_through("an array, nothrow", 1, [] { a_thing = new (std::nothrow) thing[7]; delete[] a_thing; });
    goes_through("nothrow and its own delete of an array", 1,
                 [] { ::operator delete[](::operator new[](64, std::nothrow), std::nothrow); });
    goes_through("aligned", 1, [] { a_wide = new wide; delete a_wide; });
    goes_through("an aligned array", 1, [] { a_wide = new wide[3]; delete[] a_wide; });
    goes_through("aligned, nothrow", 1, [] { a_wide = new (std::nothrow) wide; delete a_wide; });
    goes_through("an aligned array, nothrow", 1, [] { a_wide = new (std::nothrow) wide[3]; delete[] a_wide; });
    std::vector<thing> things(1000);
    for (size_t i = 0; i < things.size(); i++)
        things[i].key = static_cast<int>(i * 7919 % 1000);
    goes_through("stable_sort's buffer", 1, [&] { std::stable_sort(things.begin(), things.end()); });
    refuse = true;
    void *none = ::operator new(100, std::nothrow), *none_of_array = ::operator new[](100, std::nothrow);
    void *none_aligned = ::operator new(100, std::align_val_t(64), std::nothrow);
    refuse = false;
    tap(none == nullptr && none_of_array == nullptr && none_aligned == nullptr,
        "a replaced operator that throws: nothrow gives a null pointer");
    return tap_done();
}
