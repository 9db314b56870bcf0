// text_buffer.cc - the text of an editor: blocks of lines, each line a movable string.
//
//     c++ -std=c++17 -O2 text_buffer.cc -ltinymem && ./a.out [LINES]
//
// A long session leaves an editor's heap full of holes: lines grow, shrink and go, and each has another length. Here
// the lines that remain move together. Nothing in this file says so: the containers hold what they look at still for
// as long as they look at it.
#include "memory.hpp"

#include <cstdlib>

namespace {

class text_buffer {
public:
    std::size_t lines() const { return lines_; }

    void insert(std::size_t at, std::string_view line)
    {
        auto [b, i] = place(at);
        if (b == blocks_.size())
            blocks_.emplace_back();
        blocks_[b]->emplace(blocks_[b]->begin() + static_cast<std::ptrdiff_t>(i), line);
        ++lines_;
        if (blocks_[b]->size() > most)
            split(b);
    }

    void erase(std::size_t at)
    {
        auto [b, i] = place(at);
        blocks_[b]->erase(blocks_[b]->begin() + static_cast<std::ptrdiff_t>(i));
        --lines_;
        if (blocks_[b]->empty())
            blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(b));
    }

    void append(std::size_t at, std::string_view more)
    {
        auto [b, i] = place(at);
        (*blocks_[b])[i] += more;
    }

    // Erases every line that `keeps` refuses.
    template <class Keeps>
    void filter(Keeps keeps)
    {
        lines_ = 0;
        for (block &b : blocks_) {
            erase_if(b, [&](const tinymem::string &s) { return !keeps(s); });
            b.shrink_to_fit();
            lines_ += b.size();
        }
        erase_if(blocks_, [](const block &b) { return b.empty(); });
    }

    template <class F>
    void each(F f) const
    {
        for (const block &b : blocks_)
            for (const tinymem::string &s : b)
                f(s);
    }

private:
    using block = tinymem::vector<tinymem::string>;
    static constexpr std::size_t most = 256;
    struct where {
        std::size_t block, line;
    };

    // The end is in the last block.
    where place(std::size_t at) const
    {
        std::size_t b = 0;
        if (at == lines_ && !blocks_.empty())
            return {blocks_.size() - 1, blocks_.back()->size()};
        while (b < blocks_.size() && at >= blocks_[b]->size())
            at -= blocks_[b++]->size();
        return {b, at};
    }

    void split(std::size_t b)
    {
        block upper;
        upper.reserve(most);
        const std::size_t half = most / 2;
        for (std::size_t i = half; i < blocks_[b]->size(); i++)
            upper.push_back(std::move(*(*blocks_[b])[i]));
        blocks_[b]->resize(half);
        blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(b) + 1, std::move(upper));
    }

    tinymem::vector<block> blocks_;
    std::size_t lines_ = 0;
};

// Line n of the text, in another length each.
std::string line(std::size_t n)
{
    std::string s = std::to_string(n);
    s += ':';
    s.append(20 + n * 7919 % 300, static_cast<char>('a' + n % 26));
    return s;
}

} // namespace

int main(int argc, char **argv)
{
    const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 120000;
    text_buffer text;
    for (std::size_t i = 0; i < n; i++)
        text.insert(text.lines(), line(i));
    text.insert(0, "a line at the top");
    text.append(0, ", with more of it");
    std::size_t wrong = 0, next = 0;
    text.each([&](const tinymem::string &s) {
        if (next++ == 0)
            wrong += s != "a line at the top, with more of it";
    });
    text.erase(0);
    text.filter([](const tinymem::string &s) { return std::strtoul(s.pin().c_str(), nullptr, 10) % 5 == 0; });
    std::printf("%zu lines of %zu are left\n", text.lines(), n);
    compact_and_print();
    next = 0;
    text.each([&](const tinymem::string &s) {
        wrong += s != line(next);
        next += 5;
    });
    if (wrong != 0 || text.lines() != (n + 4) / 5)
        std::fprintf(stderr, "%zu lines are wrong\n", wrong);
    return wrong != 0 || text.lines() != (n + 4) / 5;
}
