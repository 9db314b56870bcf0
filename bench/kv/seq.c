#include "seq.h"
#include "hash.h"
#include "work.h"

struct block {
    store_ref left, right;
    uint32_t items, own, len, priority;
    uint64_t bytes;
    char pack[];
};

static inline struct block *at(store_ref r) { return store_at(r); }
static inline uint32_t items(store_ref r) { return r == STORE_NONE ? 0 : at(r)->items; }
static inline size_t block_size(size_t len) { return offsetof(struct block, pack) + len; }
static inline uint64_t bytes_of(store_ref r) { return r == STORE_NONE ? 0 : at(r)->bytes; }

static inline void recount(struct block *b)
{
    b->items = b->own + items(b->left) + items(b->right);
    b->bytes = block_size(b->len) + bytes_of(b->left) + bytes_of(b->right);
}

uint32_t seq_count(const struct seq *s) { return items(s->root); }
uint64_t seq_bytes(const struct seq *s) { return bytes_of(s->root); }

static store_ref new_block(const char *pack, size_t len, uint32_t own)
{
    store_ref r = store_alloc(block_size(len));
    if (r == STORE_NONE)
        return STORE_NONE;
    struct block *b = at(r);
    *b = (struct block){.own = own, .len = (uint32_t)len, .priority = (uint32_t)hash_random()};
    recount(b);
    if (pack != NULL)
        memcpy(b->pack, pack, len);
    return r;
}

/* The block of item *i, and *i becomes its number there. `after`: the place behind a block's last item is the block's
 * too. All blocks on the way get `more` items and bytes, which may be negative. */
static store_ref *descend(struct seq *s, uint32_t *i, bool after, int64_t more, int64_t more_bytes)
{
    store_ref *link = &s->root;
    for (;;) {
        struct block *b = at(*link);
        uint32_t left = items(b->left);
        b->items += (uint32_t)more;
        b->bytes += (uint64_t)more_bytes;
        if (*i < left) {
            link = &b->left;
        } else if (*i - left < b->own + after) {
            *i -= left;
            return link;
        } else {
            *i -= left + b->own;
            link = &b->right;
        }
    }
}

static store_ref *find(struct seq *s, uint32_t *i, bool after) { return descend(s, i, after, 0, 0); }

/* Split a subtree before its item i, which begins a block or is its end. */
static void split(store_ref r, uint32_t i, store_ref *left, store_ref *right)
{
    if (r == STORE_NONE) {
        *left = *right = STORE_NONE;
        return;
    }
    struct block *b = at(r);
    uint32_t before = items(b->left);
    if (i <= before) {
        *right = r;
        split(b->left, i, left, &b->left);
    } else {
        *left = r;
        split(b->right, i - before - b->own, &b->right, right);
    }
    recount(b);
}

static store_ref join(store_ref a, store_ref b)
{
    if (a == STORE_NONE || b == STORE_NONE)
        return a == STORE_NONE ? b : a;
    if (at(a)->priority >= at(b)->priority) {
        at(a)->right = join(at(a)->right, b);
        recount(at(a));
        return a;
    }
    at(b)->left = join(a, at(b)->left);
    recount(at(b));
    return b;
}

/* A new block whose first item becomes number i, where a block begins or the sequence ends. */
static void add_block(struct seq *s, uint32_t i, store_ref r)
{
    struct block *n = at(r);
    store_ref *link = &s->root;
    while (*link != STORE_NONE && at(*link)->priority >= n->priority) {
        struct block *b = at(*link);
        uint32_t left = items(b->left);
        b->items += n->own;
        b->bytes += block_size(n->len);
        if (i <= left) {
            link = &b->left;
        } else {
            i -= left + b->own;
            link = &b->right;
        }
    }
    split(*link, i, &n->left, &n->right);
    recount(n);
    *link = r;
}

/* Give a block room for `len` bytes. Shrinking never fails: at worst the object stays larger than it needs to be. */
static struct block *resize(store_ref *link, size_t len)
{
    struct block *b = at(*link);
    store_ref r = store_resize(*link, block_size(len));
    if (r == STORE_NONE && len > b->len)
        return NULL;
    if (r != STORE_NONE)
        *link = r;
    b = at(*link);
    b->len = (uint32_t)len;
    return b;
}

/* Make item i the first of its block. */
static bool cut(struct seq *s, uint32_t i)
{
    uint32_t k = i;
    if (i >= seq_count(s))
        return true;
    store_ref *link = find(s, &k, false);
    struct block *b = at(*link);
    if (k == 0)
        return true;
    size_t keep = (size_t)(pack_skip(b->pack, k) - b->pack);
    uint32_t go = b->own - k;
    store_ref r = new_block(b->pack + keep, b->len - keep, go);
    if (r == STORE_NONE)
        return false;
    k = i;
    (void)descend(s, &k, false, -(int64_t)go, -(int64_t)(b->len - keep));
    b->own -= go;
    (void)resize(link, keep);
    add_block(s, i, r);
    return true;
}

uint32_t seq_get(const struct seq *s, uint32_t i, struct item *item)
{
    struct block *b = at(*find((struct seq *)s, &i, false)); // adds nothing: changes nothing
    (void)pack_read(pack_skip(b->pack, i), item);
    return b->own - i - 1;
}

void seq_each(const struct seq *s, uint32_t from, uint32_t n, seq_see *see, void *data)
{
    struct item item;
    while (n > 0) {
        uint32_t more = seq_get(s, from, &item);
        for (;; more--) {
            see(data, &item);
            from++;
            if (--n == 0 || more == 0)
                break;
            (void)pack_read(item.at + item.len, &item);
        }
    }
}

bool seq_insert(struct seq *s, uint32_t i, const char *bytes, size_t len)
{
    uint32_t k = i, count = seq_count(s);
    size_t size = pack_size(len);
    store_ref *link = count == 0 ? NULL : find(s, &k, true);
    struct block *b = link == NULL ? NULL : at(*link);
    if (b != NULL && b->len + size > SEQ_BLOCK && b->own > 1 && i > 0 && i < count)
        return cut(s, i - k + b->own / 2) && seq_insert(s, i, bytes, len);
    if (b == NULL || b->len + size > SEQ_BLOCK) {
        store_ref r = new_block(NULL, size, 1);
        if (r == STORE_NONE)
            return false;
        (void)pack_write(at(r)->pack, bytes, len);
        add_block(s, i, r);
        return true;
    }
    size_t from = (size_t)(pack_skip(b->pack, k) - b->pack), was = b->len;
    b = resize(link, was + size);
    if (b == NULL)
        return false;
    memmove(b->pack + from + size, b->pack + from, was - from);
    (void)pack_write(b->pack + from, bytes, len);
    (void)descend(s, &i, true, 1, (int64_t)size);
    b->own++;
    return true;
}

bool seq_fill(struct seq *s, const char *pack, size_t len)
{
    uint32_t n = pack_count(pack, pack + len);
    if (n == 0)
        return true;
    s->root = new_block(pack, len, n);
    return s->root != STORE_NONE;
}

/* Two neighbours that fit into half a block become one. `first` is the number of the first item of the former. */
static void merge(struct seq *s, uint32_t first)
{
    uint32_t k = first, next;
    store_ref *link = find(s, &k, false);
    struct block *a = at(*link), *b;
    size_t was = a->len;
    next = first + a->own;
    if (was > SEQ_BLOCK / 4 || next >= seq_count(s))
        return;
    k = next;
    b = at(*find(s, &k, false));
    uint32_t n = b->own;
    if (was + b->len > SEQ_BLOCK / 2 || (a = resize(link, was + b->len)) == NULL)
        return;
    memcpy(a->pack + was, b->pack, b->len);
    k = next;
    link = descend(s, &k, false, -(int64_t)n, -(int64_t)block_size(b->len));
    store_ref r = *link;
    *link = join(b->left, b->right);
    (void)descend(s, &first, false, n, b->len);
    store_free(r);
    a->own += n;
}

void seq_remove(struct seq *s, uint32_t i)
{
    uint32_t k = i, first;
    struct item item;
    store_ref *link = find(s, &k, false);
    struct block *b = at(*link);
    char *from = b->pack + (pack_skip(b->pack, k) - b->pack);
    const char *next = pack_read(from, &item), *end = b->pack + b->len;
    size_t size = (size_t)(next - from);
    bool last = b->own == 1;
    first = i - k;
    (void)descend(s, &i, false, -1, -(int64_t)(last ? block_size(size) : size));
    if (last) {
        store_ref r = *link;
        *link = join(b->left, b->right);
        store_free(r);
        return;
    }
    memmove(from, next, (size_t)(end - next));
    b->own--;
    (void)resize(link, b->len - size);
    merge(s, first);
}

bool seq_take(struct seq *s, uint32_t i, uint32_t n, struct seq *out)
{
    store_ref left, rest, right;
    if (!cut(s, i) || !cut(s, i + n))
        return false;
    split(s->root, i, &left, &rest);
    split(rest, n, &out->root, &right);
    s->root = join(left, right);
    return true;
}

uint32_t seq_search(const struct seq *s, bool (*before)(const void *data, const struct item *item), const void *data)
{
    store_ref r = s->root;
    struct block *last = NULL; // the last block whose first item is before
    uint32_t base = 0, first = 0;
    struct item item;
    while (r != STORE_NONE) {
        struct block *b = at(r);
        (void)pack_read(b->pack, &item);
        if (before(data, &item)) {
            last = b;
            first = base + items(b->left);
            base = first + b->own;
            r = b->right;
        } else {
            r = b->left;
        }
    }
    if (last == NULL)
        return 0;
    uint32_t k = 1;
    const char *p = pack_skip(last->pack, 1);
    for (; k < last->own; k++) {
        p = pack_read(p, &item);
        if (!before(data, &item))
            break;
    }
    return first + k;
}

bool seq_destroy(struct seq *s, size_t most)
{
    for (; s->root != STORE_NONE && most > 0; most--, work_done++) {
        store_ref r = s->root, left = at(r)->left;
        if (left == STORE_NONE) {
            s->root = at(r)->right;
            store_free(r);
        } else { // rotate: every block comes to the root once
            at(r)->left = at(left)->right;
            at(left)->right = r;
            s->root = left;
        }
    }
    return s->root == STORE_NONE;
}
