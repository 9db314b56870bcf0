/* Looking up symbols: in the memory of a process, by the hash table that the dynamic linker uses, and in a file. */
#include "target.h"
#include "tool.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADERS_MAX = 64, CHAIN_MAX = 4096, NAME_BYTES = 32, DYNAMIC_MAX = 256 };

typedef struct image {
    const target_t *t;
    uintptr_t bias; // difference between an address in memory and the same address in the file
    uintptr_t symbols, names, hash;
} image_t;

static bool is_elf(const Elf64_Ehdr *e)
{
    return memcmp(e->e_ident, ELFMAG, SELFMAG) == 0 && e->e_ident[EI_CLASS] == ELFCLASS64 &&
           e->e_phentsize == sizeof(Elf64_Phdr) && e->e_phnum > 0 && e->e_phnum <= HEADERS_MAX;
}

/* The address of an entry of the dynamic section. The dynamic linker has relocated some entries in some libraries. */
static uintptr_t address_in(const image_t *m, uintptr_t value) { return value < m->bias ? value + m->bias : value; }

static bool read_dynamic(image_t *m, uintptr_t at, size_t nbytes)
{
    Elf64_Dyn d;
    for (size_t i = 0; i < nbytes / sizeof d; i++) {
        if (!target_read(m->t, at + i * sizeof d, &d, sizeof d) || d.d_tag == DT_NULL)
            break;
        if (d.d_tag == DT_SYMTAB)
            m->symbols = address_in(m, d.d_un.d_ptr);
        else if (d.d_tag == DT_STRTAB)
            m->names = address_in(m, d.d_un.d_ptr);
        else if (d.d_tag == DT_GNU_HASH)
            m->hash = address_in(m, d.d_un.d_ptr);
    }
    return m->symbols != 0 && m->names != 0 && m->hash != 0;
}

static bool read_image(image_t *m, uintptr_t base)
{
    Elf64_Ehdr e;
    Elf64_Phdr headers[HEADERS_MAX];
    const Elf64_Phdr *dynamic = NULL, *first = NULL;
    if (!target_read(m->t, base, &e, sizeof e) || !is_elf(&e) ||
        !target_read(m->t, base + e.e_phoff, headers, e.e_phnum * sizeof headers[0]))
        return false;
    for (const Elf64_Phdr *p = headers; p < headers + e.e_phnum; p++) {
        if (p->p_type == PT_DYNAMIC)
            dynamic = p;
        else if (p->p_type == PT_LOAD && first == NULL)
            first = p;
    }
    if (dynamic == NULL || first == NULL)
        return false;
    m->bias = base - tmi_round_down(first->p_vaddr, m->t->page_size);
    return read_dynamic(m, m->bias + dynamic->p_vaddr, dynamic->p_memsz);
}

static uint32_t hash_of(const char *name)
{
    uint32_t h = 5381;
    for (; *name != '\0'; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* The value of the i-th symbol if it has that name and is defined, else 0. */
static uintptr_t value_of(const image_t *m, uint32_t i, const char *name)
{
    Elf64_Sym s;
    char text[NAME_BYTES] = "";
    size_t length = strlen(name) + 1;
    if (length > sizeof text || !target_read(m->t, m->symbols + i * sizeof s, &s, sizeof s) || s.st_shndx == SHN_UNDEF)
        return 0;
    if (!target_read(m->t, m->names + s.st_name, text, length) || memcmp(text, name, length) != 0)
        return 0;
    return m->bias + s.st_value;
}

static uintptr_t look_up(const image_t *m, const char *name)
{
    struct {
        uint32_t nbuckets, first, words, shift;
    } table;
    uint32_t i, h, wanted = hash_of(name);
    if (!target_read(m->t, m->hash, &table, sizeof table) || table.nbuckets == 0)
        return 0;
    uintptr_t buckets = m->hash + sizeof table + table.words * sizeof(uint64_t);
    uintptr_t chains = buckets + table.nbuckets * sizeof(uint32_t);
    if (!target_read(m->t, buckets + wanted % table.nbuckets * sizeof i, &i, sizeof i) || i < table.first)
        return 0;
    for (unsigned looks = 0; looks < CHAIN_MAX; looks++, i++) {
        if (!target_read(m->t, chains + (i - table.first) * sizeof h, &h, sizeof h))
            return 0;
        uintptr_t value = (h | 1) == (wanted | 1) ? value_of(m, i, name) : 0;
        if (value != 0 || (h & 1) != 0) // the lowest bit ends the chain
            return value;
    }
    return 0;
}

uintptr_t elf_dynamic_symbol(const target_t *t, uintptr_t base, const char *name)
{
    image_t m = {.t = t};
    return read_image(&m, base) ? look_up(&m, name) : 0;
}

uintptr_t elf_symbol_of(const target_t *t, uintptr_t bias, uintptr_t dynamic, const char *name)
{
    image_t m = {.t = t, .bias = bias};
    return read_dynamic(&m, dynamic, DYNAMIC_MAX * sizeof(Elf64_Dyn)) ? look_up(&m, name) : 0;
}

/* ---- in a file ----------------------------------------------------------------------------------------------- */

typedef struct file {
    const char *bytes;
    size_t size;
} file_t;

/* A pointer to part of the mapped file. NULL: the part is not wholly in the file. */
static const void *part(const file_t *f, uint64_t offset, uint64_t nbytes)
{
    return offset <= f->size && nbytes <= f->size - offset ? f->bytes + offset : NULL;
}

static uintptr_t in_table(const file_t *f, const Elf64_Shdr *table, const Elf64_Shdr *names, const char *name)
{
    const Elf64_Sym *symbols = part(f, table->sh_offset, table->sh_size);
    const char *text = part(f, names->sh_offset, names->sh_size);
    size_t length = strlen(name) + 1;
    if (symbols == NULL || text == NULL)
        return 0;
    for (const Elf64_Sym *s = symbols; s < symbols + table->sh_size / sizeof *s; s++)
        if (s->st_shndx != SHN_UNDEF && s->st_name < names->sh_size && length <= names->sh_size - s->st_name &&
            memcmp(text + s->st_name, name, length) == 0)
            return s->st_value;
    return 0;
}

/* The lowest address that the file asks to be loaded at. Symbol values are relative to it. */
static uintptr_t first_address(const file_t *f, const Elf64_Ehdr *e)
{
    const Elf64_Phdr *p = part(f, e->e_phoff, e->e_phnum * sizeof *p);
    for (unsigned i = 0; p != NULL && i < e->e_phnum; i++)
        if (p[i].p_type == PT_LOAD)
            return tmi_round_down(p[i].p_vaddr, 4096);
    return 0;
}

static uintptr_t in_file(const file_t *f, const char *name, bool *fixed)
{
    const Elf64_Ehdr *e = part(f, 0, sizeof *e);
    if (e == NULL || !is_elf(e) || e->e_shentsize != sizeof(Elf64_Shdr))
        return 0;
    const Elf64_Shdr *s = part(f, e->e_shoff, e->e_shnum * sizeof *s);
    *fixed = e->e_type == ET_EXEC;
    for (unsigned i = 0; s != NULL && i < e->e_shnum; i++) {
        uintptr_t value =
            s[i].sh_type == SHT_SYMTAB && s[i].sh_link < e->e_shnum ? in_table(f, &s[i], &s[s[i].sh_link], name) : 0;
        if (value != 0)
            return *fixed ? value : value - first_address(f, e);
    }
    return 0;
}

uintptr_t elf_file_symbol(const char *path, const char *name, bool *fixed)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uintptr_t value = 0;
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        file_t f = {p, (size_t)st.st_size};
        if (p != MAP_FAILED) {
            value = in_file(&f, name, fixed);
            munmap(p, f.size);
        }
    }
    close(fd);
    return value;
}
