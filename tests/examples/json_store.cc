// json_store.cc - JSON documents by key, parsed into movable objects.
//
//     c++ -std=c++17 -O2 json_store.cc -ltinymem && ./a.out [DOCUMENTS]
//
// A document is many small blocks: texts, arrays, names. When documents go, holes are left all over the heap, between
// blocks of those that stay. Here what stays moves together.
#include "memory.hpp"

#include <cctype>
#include <cstdlib>

namespace {

enum class kind { null, boolean, number, text, array, object };

struct json {
    kind is = kind::null;
    double number = 0;                      // of a number or a boolean
    tinymem::string text;
    tinymem::vector<tinymem::string> names; // of the items of an object, in order
    tinymem::vector<json> items;
};

} // namespace

template <>
struct tinymem::is_relocatable<json> : std::true_type {};

namespace {

// Reads one document. The first thing that is not JSON ends it: ok() is false then.
class parser {
public:
    explicit parser(std::string_view text) : text_(text) {}
    bool ok() const { return ok_ && at_ == text_.size(); }

    json value(int depth = 0)
    {
        json v;
        const char c = peek();
        if (depth > 100)
            ok_ = false;
        else if (c == '{' || c == '[')
            list(v, c == '{', depth);
        else if (c == '"')
            v.is = kind::text, v.text = string();
        else if (word("true") || word("false"))
            v.is = kind::boolean, v.number = c == 't';
        else if (!word("null"))
            number(v);
        return v;
    }

private:
    char peek()
    {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])))
            at_++;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool take(char c)
    {
        const bool there = peek() == c;
        at_ += there;
        return there;
    }
    bool word(std::string_view w)
    {
        const bool there = text_.substr(at_, w.size()) == w;
        at_ += there ? w.size() : 0;
        return there;
    }
    void list(json &v, bool object, int depth)
    {
        const char end = object ? '}' : ']';
        v.is = object ? kind::object : kind::array;
        at_++;
        if (take(end))
            return;
        do {
            if (object) {
                v.names.push_back(string());
                ok_ = ok_ && take(':');
            }
            if (ok_)
                v.items.push_back(value(depth + 1));
        } while (ok_ && take(','));
        ok_ = ok_ && take(end);
        v.names.shrink_to_fit();
        v.items.shrink_to_fit();
    }
    tinymem::string string()
    {
        tinymem::string s;
        ok_ = ok_ && take('"');
        for (; ok_ && at_ < text_.size() && text_[at_] != '"'; at_++) {
            if (text_[at_] == '\\' && ++at_ == text_.size())
                break;
            s.push_back(text_[at_]); // of escapes these examples need \" and \\ only
        }
        ok_ = ok_ && take('"');
        s.shrink_to_fit();
        return s;
    }
    void number(json &v)
    {
        const std::string digits(text_.substr(at_, 40));
        char *end = nullptr;
        v.is = kind::number;
        v.number = std::strtod(digits.c_str(), &end);
        ok_ = ok_ && end != digits.c_str();
        at_ += static_cast<std::size_t>(end - digits.c_str());
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

void quote(const tinymem::string &s, std::string &out)
{
    out += '"';
    for (char c : s) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    out += '"';
}

void print(const json &v, std::string &out)
{
    char digits[40];
    switch (v.is) {
    case kind::null: out += "null"; break;
    case kind::boolean: out += v.number != 0 ? "true" : "false"; break;
    case kind::number: std::snprintf(digits, sizeof digits, "%.17g", v.number), out += digits; break;
    case kind::text: quote(v.text, out); break;
    case kind::array:
    case kind::object:
        out += v.is == kind::object ? '{' : '[';
        for (std::size_t i = 0; i < v.items.size(); i++) {
            out += i == 0 ? "" : ",";
            if (v.is == kind::object) {
                quote(*v.names[i], out);
                out += ':';
            }
            print(*v.items[i], out);
        }
        out += v.is == kind::object ? '}' : ']';
    }
}

std::string document(std::size_t n)
{
    std::string s = "{\"id\":" + std::to_string(n);
    s += ",\"name\":\"the \\\"" + std::to_string(n * 7) + "\\\" one\",\"tags\":[";
    for (std::size_t i = 0; i < n % 7; i++)
        s += (i == 0 ? "\"" : ",\"") + std::string(10 + n * 31 % 90, static_cast<char>('a' + i)) + '"';
    s += "],\"size\":{\"width\":" + std::to_string(n % 100) + ".5,\"deep\":null},\"sold\":";
    return s + (n % 2 ? "true}" : "false}");
}

} // namespace

int main(int argc, char **argv)
{
    const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 30000;
    tinymem::hash_map<tinymem::string, json> store;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < n; i++) {
        const std::string text = document(i);
        parser p(text);
        store.insert_or_assign("doc" + std::to_string(i), p.value());
        wrong += !p.ok();
    }
    erase_if(store, [](const auto &e) { return static_cast<std::size_t>(e.second.items[0]->number) % 5 != 0; });
    std::printf("%zu documents of %zu are left\n", store.size(), n);
    compact_and_print();
    for (std::size_t i = 0; i < n; i += 5) {
        std::string text;
        print(*store.at("doc" + std::to_string(i)), text);
        wrong += text != document(i);
    }
    if (wrong != 0 || store.size() != (n + 4) / 5)
        std::fprintf(stderr, "%zu documents are wrong\n", wrong);
    return wrong != 0 || store.size() != (n + 4) / 5;
}
