#include "insight/maps.h"
#include "os/os.h"
#include "os/report.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>

enum { ROWS_MAX = 8192 };
#define TEXT_MAX ((size_t)4 << 20)

static uintptr_t take_hex(const char **s)
{
    uintptr_t n = 0;
    for (;; (*s)++) {
        char c = **s;
        if (c >= '0' && c <= '9')
            n = n << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return n;
    }
}

/* "start-end perms offset device inode path" */
static void take_line(tmi_maps_t *maps, const char *s)
{
    tmi_map_t row = {0};
    row.start = take_hex(&s);
    if (*s++ != '-')
        return;
    row.end = take_hex(&s);
    if (strlen(s) < 6 || s[3] != 'x' || maps->nrows == ROWS_MAX)
        return;
    s += 6;
    row.offset = take_hex(&s);
    for (int fields = 0; fields < 2; fields++) {
        s += strspn(s, " ");
        s += strcspn(s, " ");
    }
    row.path = s + strspn(s, " ");
    maps->rows[maps->nrows++] = row;
}

static void cut_lines(tmi_maps_t *maps)
{
    char *end;
    for (char *s = maps->text; (end = strchr(s, '\n')) != NULL; s = end + 1) {
        *end = '\0';
        take_line(maps, s);
    }
}

bool tmi_maps_read(tmi_maps_t *maps) { return tmi_maps_read_from(maps, "/proc/self/maps"); }

bool tmi_maps_read_from(tmi_maps_t *maps, const char *path)
{
    void *p;
    long got = 0;
    *maps = (tmi_maps_t){.nbytes = TEXT_MAX + ROWS_MAX * sizeof(tmi_map_t)};
    if (tmi_os_map_records(maps->nbytes, &p) != 0)
        return false;
    maps->rows = p;
    maps->text = (char *)p + ROWS_MAX * sizeof(tmi_map_t);
    int fd = tmi_os_open(path, O_RDONLY | O_CLOEXEC, 0);
    while (fd >= 0 && maps->ntext < TEXT_MAX - 1 &&
           (got = tmi_os_read(fd, maps->text + maps->ntext, TEXT_MAX - 1 - maps->ntext)) > 0)
        maps->ntext += (size_t)got;
    if (fd >= 0)
        tmi_os_close(fd);
    cut_lines(maps);
    return maps->nrows > 0;
}

void tmi_maps_close(tmi_maps_t *maps)
{
    for (size_t i = 0; i < maps->nrows; i++)
        if (maps->rows[i].file != NULL)
            (void)tmi_os_unmap((void *)(uintptr_t)maps->rows[i].file, tmi_round_up(maps->rows[i].file_bytes, 4096));
    if (maps->rows != NULL)
        (void)tmi_os_unmap(maps->rows, maps->nbytes);
    *maps = (tmi_maps_t){0};
}

void tmi_maps_each(const tmi_maps_t *maps, void (*each)(void *context, const tmi_mapping_t *m), void *context)
{
    for (const char *line = maps->text; line < maps->text + maps->ntext; line += strlen(line) + 1) {
        const char *s = line;
        tmi_mapping_t m = {.start = take_hex(&s)};
        if (*s++ != '-')
            continue;
        m.end = take_hex(&s);
        m.access = s + 1;
        if (strlen(s) > 5)
            each(context, &m);
    }
}

tmi_map_t *tmi_maps_find(tmi_maps_t *maps, uintptr_t address)
{
    size_t low = 0, high = maps->nrows;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (maps->rows[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < maps->nrows && maps->rows[low].start <= address ? &maps->rows[low] : NULL;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* The file may have been replaced since, so every offset is compared with its length. */
static const void *part(const tmi_map_t *m, uint64_t offset, uint64_t nbytes)
{
    return offset % 8 == 0 && offset <= m->file_bytes && nbytes <= m->file_bytes - offset ? m->file + offset : NULL;
}

static const Elf64_Ehdr *header(tmi_map_t *m)
{
    if (!m->looked) {
        void *p = NULL;
        m->looked = true;
        const char *from = m->read_from != NULL ? m->read_from : m->path;
        if (m->path[0] == '/' && tmi_os_map_file(from, &p, &m->file_bytes) == 0)
            m->file = p;
    }
    const Elf64_Ehdr *e = m->file != NULL ? part(m, 0, sizeof *e) : NULL;
    return e != NULL && memcmp(e->e_ident, ELFMAG, SELFMAG) == 0 && e->e_ident[EI_CLASS] == ELFCLASS64 ? e : NULL;
}

/* Convert an address in memory to the address that the file's own tables use. */
static bool to_file_address(const tmi_map_t *m, const Elf64_Ehdr *e, uintptr_t address, uint64_t *out)
{
    uint64_t offset = address - m->start + m->offset;
    const Elf64_Phdr *p = part(m, e->e_phoff, (uint64_t)e->e_phnum * sizeof *p);
    for (unsigned i = 0; p != NULL && i < e->e_phnum; i++)
        if (p[i].p_type == PT_LOAD && offset - p[i].p_offset < p[i].p_filesz) {
            *out = offset - p[i].p_offset + p[i].p_vaddr;
            return true;
        }
    return false;
}

/* The function in one symbol table that contains the address, or NULL. */
static const char *look_up(const tmi_map_t *m, const Elf64_Shdr *symbols, const Elf64_Shdr *strings, uint64_t address)
{
    const Elf64_Sym *s = part(m, symbols->sh_offset, symbols->sh_size);
    if (s == NULL || strings->sh_offset > m->file_bytes || strings->sh_size > m->file_bytes - strings->sh_offset)
        return NULL;
    const char *text = (const char *)m->file + strings->sh_offset;
    for (size_t i = 0; i < symbols->sh_size / sizeof *s; i++) {
        bool function = ELF64_ST_TYPE(s[i].st_info) == STT_FUNC && s[i].st_shndx != SHN_UNDEF;
        if (function && address - s[i].st_value < s[i].st_size && s[i].st_name < strings->sh_size)
            return memchr(text + s[i].st_name, '\0', strings->sh_size - s[i].st_name) ? text + s[i].st_name : NULL;
    }
    return NULL;
}

bool tmi_maps_name(tmi_map_t *map, uintptr_t address, char *out, size_t size)
{
    uint64_t at;
    const char *name = NULL;
    const Elf64_Ehdr *e = header(map);
    if (e == NULL || !to_file_address(map, e, address, &at))
        return false;
    const Elf64_Shdr *s = part(map, e->e_shoff, (uint64_t)e->e_shnum * sizeof *s);
    for (unsigned i = 0; s != NULL && name == NULL && i < e->e_shnum; i++)
        if ((s[i].sh_type == SHT_SYMTAB || s[i].sh_type == SHT_DYNSYM) && s[i].sh_link < e->e_shnum)
            name = look_up(map, &s[i], &s[s[i].sh_link], at);
    if (name != NULL)
        (void)tmi_format(out, size, "%s", name);
    return name != NULL;
}
