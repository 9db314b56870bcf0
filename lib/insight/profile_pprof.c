/* profile.proto, as github.com/google/pprof/proto/profile.proto defines it, not compressed. Values are estimates,
 * scaled up from the samples. pprof finds names of functions in the mapped files. */
#include "insight/profile.h"
#include "sampling/stack.h"

#include <string.h>

/* Numbers of the messages' fields, named as in that file. */
enum { SAMPLE_TYPE = 1, SAMPLE = 2, MAPPING = 3, LOCATION = 4, STRING_TABLE = 6 };
enum { PERIOD_TYPE = 11, PERIOD = 12, DEFAULT_TYPE = 14 };
enum { TYPE = 1, UNIT = 2 };
enum { LOCATION_ID = 1, VALUE = 2 };
enum { ID = 1, MEMORY_START = 2, MEMORY_LIMIT = 3, FILE_OFFSET = 4, FILENAME = 5 };
enum { MAPPING_ID = 2, ADDRESS = 3 };
enum { VARINT = 0, BYTES = 2, VARINT_MAX = 10 };

/* The start of the string table. Names of files follow. */
static const char *const strings[] = {"",              "alloc_objects", "count", "alloc_space",  "bytes",
                                      "inuse_objects", "inuse_space",   "space", "hostage_space"};
enum { NONE, ALLOC_OBJECTS, COUNT, ALLOC_SPACE, IN_BYTES, INUSE_OBJECTS, INUSE_SPACE, SPACE, HOSTAGE_SPACE, STRINGS };

/* A message inside another. */
typedef struct message {
    size_t n;
    unsigned char bytes[(TMI_STACK_MAX + 16) * VARINT_MAX];
} message_t;

static void put_varint(message_t *m, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        m->bytes[m->n++] = (unsigned char)(value | 0x80);
    m->bytes[m->n++] = (unsigned char)value;
}

static void put_number(message_t *m, unsigned field, uint64_t value)
{
    put_varint(m, field << 3 | VARINT);
    put_varint(m, value);
}

static void put_packed(message_t *m, unsigned field, const message_t *values)
{
    put_varint(m, field << 3 | BYTES);
    put_varint(m, values->n);
    memcpy(m->bytes + m->n, values->bytes, values->n);
    m->n += values->n;
}

static void write_bytes(tmi_writer_t *out, unsigned field, const void *bytes, size_t nbytes)
{
    message_t head = {0};
    put_varint(&head, field << 3 | BYTES);
    put_varint(&head, nbytes);
    tmi_writer_bytes(out, head.bytes, head.n);
    tmi_writer_bytes(out, bytes, nbytes);
}

static void write_message(tmi_writer_t *out, unsigned field, const message_t *m)
{
    write_bytes(out, field, m->bytes, m->n);
}

static void write_number(tmi_writer_t *out, unsigned field, uint64_t value)
{
    message_t m = {0};
    put_number(&m, field, value);
    tmi_writer_bytes(out, m.bytes, m.n);
}

static void write_type(tmi_writer_t *out, unsigned field, unsigned type, unsigned unit)
{
    message_t m = {0};
    put_number(&m, TYPE, type);
    put_number(&m, UNIT, unit);
    write_message(out, field, &m);
}

static uint64_t blocks_of(const tmi_amount_t *a) { return (a->blocks + TMI_SAMPLES_BLOCK / 2) / TMI_SAMPLES_BLOCK; }

static void write_sample(tmi_profile_t *p, tmi_frame_table_t *t, const tmi_site_t *s)
{
    message_t ids = {0}, values = {0}, m = {0};
    bool fresh;
    for (uint32_t k = 0; k < s->depth; k++)
        put_varint(&ids, tmi_frame_number(t, tmi_profile_frames(p, s)[k], &fresh));
    put_varint(&values, blocks_of(&s->total));
    put_varint(&values, s->total.bytes);
    put_varint(&values, blocks_of(&s->live));
    put_varint(&values, s->live.bytes);
    put_varint(&values, p->stranded != NULL ? p->stranded[s - p->samples.sites] : 0);
    if (ids.n > 0)
        put_packed(&m, LOCATION_ID, &ids);
    put_packed(&m, VALUE, &values);
    write_message(p->out, SAMPLE, &m);
}

/* pprof wants an address inside the call, since the return address may belong to another line. */
static void write_location(tmi_profile_t *p, uint32_t number, uintptr_t address)
{
    message_t m = {0};
    const tmi_map_t *map = tmi_maps_find(&p->maps, address - 1);
    put_number(&m, ID, number);
    if (map != NULL)
        put_number(&m, MAPPING_ID, (uint64_t)(map - p->maps.rows) + 1);
    put_number(&m, ADDRESS, address - 1);
    write_message(p->out, LOCATION, &m);
}

static void write_locations(tmi_profile_t *p, tmi_frame_table_t *t)
{
    bool fresh;
    tmi_frames_rewind(t);
    for (size_t i = 0; i < p->samples.nsites; i++) {
        const tmi_site_t *s = &p->samples.sites[i];
        for (uint32_t k = 0; s->total.samples > 0 && k < s->depth; k++) {
            uintptr_t address = tmi_profile_frames(p, s)[k];
            uint32_t number = tmi_frame_number(t, address, &fresh);
            if (fresh)
                write_location(p, number, address);
        }
    }
}

static void write_mappings(tmi_profile_t *p)
{
    for (size_t i = 0; i < p->maps.nrows; i++) {
        message_t m = {0};
        const tmi_map_t *map = &p->maps.rows[i];
        put_number(&m, ID, i + 1);
        put_number(&m, MEMORY_START, map->start);
        put_number(&m, MEMORY_LIMIT, map->end);
        put_number(&m, FILE_OFFSET, map->offset);
        put_number(&m, FILENAME, STRINGS + i);
        write_message(p->out, MAPPING, &m);
    }
}

static void write_strings(tmi_profile_t *p)
{
    for (unsigned i = 0; i < STRINGS; i++)
        write_bytes(p->out, STRING_TABLE, strings[i], strlen(strings[i]));
    for (size_t i = 0; i < p->maps.nrows; i++)
        write_bytes(p->out, STRING_TABLE, p->maps.rows[i].path, strlen(p->maps.rows[i].path));
}

void tmi_profile_pprof(tmi_profile_t *p)
{
    tmi_frame_table_t t;
    if (!tmi_frames_open(&t, &p->samples)) {
        p->out->failed = true;
        return;
    }
    write_type(p->out, SAMPLE_TYPE, ALLOC_OBJECTS, COUNT);
    write_type(p->out, SAMPLE_TYPE, ALLOC_SPACE, IN_BYTES);
    write_type(p->out, SAMPLE_TYPE, INUSE_OBJECTS, COUNT);
    write_type(p->out, SAMPLE_TYPE, INUSE_SPACE, IN_BYTES);
    write_type(p->out, SAMPLE_TYPE, HOSTAGE_SPACE, IN_BYTES);
    for (size_t i = 0; i < p->samples.nsites; i++)
        if (p->samples.sites[i].total.samples > 0)
            write_sample(p, &t, &p->samples.sites[i]);
    write_mappings(p);
    write_locations(p, &t);
    write_strings(p);
    write_type(p->out, PERIOD_TYPE, SPACE, IN_BYTES);
    write_number(p->out, PERIOD, p->samples.interval);
    write_number(p->out, DEFAULT_TYPE, INUSE_SPACE);
    tmi_frames_close(&t);
}
