/* load.c - the client that measures cache servers: kv-load PID PORT MIB SECONDS KEYS [POINTS]
 *
 * It drives a server that speaks RESP2 through the scenes below, on one thread, and prints figures, one a line:
 * "NAME = VALUE". The server's memory and processor time are read from /proc/PID. Keys have 16 bytes.
 *
 *   keys      KEYS keys with values of 32 bytes: resident bytes a key
 *   rate      as many requests as fit into SECONDS, 16 at a time on each of 8 connections, half GET, half SET
 *   shift     a cache of MIB MiB whose values go from 32 bytes to 2 KiB and back to 256 bytes: keys are replaced at
 *             random while GETs measure what clients wait for; resident ÷ data at the end of each size
 *   wave      a third more keys that expire together; resident ÷ data when they are gone
 *   flush     FLUSHALL: resident over empty 3 s later
 *   refill    the last size again, then 3 s idle: resident ÷ data, and the processor's time while idle
 *
 * With less than a second for the rate all waits but the one after FLUSHALL are short.
 *
 * POINTS is a file for a picture of the scenes from shift on: at the same points of the load, whatever the server, a
 * line with seconds, MiB of data and MiB resident over empty.
 *
 * Data are the bytes of live keys and values: all that a client has stored and would get back. */
#define _GNU_SOURCE
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY = 16, VALUE_MAX = 4096, CONNECTIONS = 8, DEPTH = 16, BATCH = 64, GETS = 4 };

static const unsigned sizes[] = {32, 64, 128, 256, 512, 1024, 2048, 1024, 512, 256};
enum { PHASES = sizeof sizes / sizeof *sizes };

static struct wire wires[CONNECTIONS];
static int server_pid;
static double seconds, empty_mib;
static uint64_t state = 88172645463325252u;
static uint16_t *lengths; /* of the values of keys 0 .. keys_room, 0: no such key */
static uint32_t keys_room;
static uint64_t data;

static uint64_t random_number(void) // xorshift64, Marsaglia
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double mib_over_empty(void) { return resident_mib(server_pid) - empty_mib; }

static FILE *points;

static void point(void)
{
    static double first;
    if (points == NULL)
        return;
    first = first == 0 ? now_seconds() : first;
    fprintf(points, "%.3f %.3f %.3f\n", now_seconds() - first, (double)data / 1048576, mib_over_empty());
}

static void wait_for(double s)
{
    for (double end = now_seconds() + s; s > 0; s -= 0.25) {
        double left = end - now_seconds(), step = s < 0.25 ? left : left - (s - 0.25);
        if (step > 0)
            usleep((useconds_t)(step * 1e6));
        point();
    }
}

/* Wait, less long in a short run. */
static void pause_for(double s) { wait_for(s * (seconds < 1 ? 0.2 : 1)); }

static void print(const char *name, double value)
{
    printf("%s = %.6g\n", name, value);
    fflush(stdout);
}

static void key_of(char *key, uint32_t i) { snprintf(key, KEY + 1, "key:%012u", i); }

static void put(struct wire *w, uint32_t i, unsigned len, const char *expire_ms)
{
    static char value[VALUE_MAX];
    char key[KEY + 1];
    key_of(key, i);
    if (value[0] == 0)
        memset(value, 'x', sizeof value);
    size_t expire_len = expire_ms == NULL ? 0 : strlen(expire_ms);
    struct word words[] = {{"SET", 3}, {key, KEY}, {value, len}, {"PX", 2}, {expire_ms, expire_len}};
    wire_send(w, words, expire_ms == NULL ? 3 : 5);
    if (expire_ms == NULL) {
        data += (uint64_t)len + (lengths[i] == 0 ? KEY : 0);
        data -= lengths[i];
        lengths[i] = (uint16_t)len;
    }
}

static void get(struct wire *w, uint32_t i)
{
    char key[KEY + 1];
    key_of(key, i);
    wire_send(w, (struct word[]){{"GET", 3}, {key, KEY}}, 2);
}

static void del(struct wire *w, uint32_t i)
{
    char key[KEY + 1];
    key_of(key, i);
    wire_send(w, (struct word[]){{"DEL", 3}, {key, KEY}}, 2);
    data -= lengths[i] == 0 ? 0 : lengths[i] + KEY;
    lengths[i] = 0;
}

static void command(const char *name)
{
    wire_send(&wires[0], (struct word[]){{name, strlen(name)}}, 1);
    wire_finish(&wires[0]);
}

static uint64_t key_count(void)
{
    wire_send(&wires[0], (struct word[]){{"DBSIZE", 6}}, 1);
    return (uint64_t)wire_finish(&wires[0]);
}

/* Keys 0 to n in order. */
static void fill(uint32_t n, unsigned len)
{
    for (uint32_t i = 0; i < n;) {
        for (unsigned k = 0; k < 256 && i < n; k++, i++)
            put(&wires[0], i, len, NULL);
        wire_finish(&wires[0]);
        if (i / (n / 20 + 256) != (i - 256) / (n / 20 + 256))
            point();
    }
}

static void flush(void)
{
    command("FLUSHALL");
    memset(lengths, 0, keys_room * sizeof *lengths);
    data = 0;
}

static void scene_keys(uint32_t keys)
{
    fill(keys, 32);
    pause_for(1);
    print("bytes a key", mib_over_empty() * 1048576 / keys);
}

static void scene_rate(uint32_t keys)
{
    uint64_t n = 0;
    double start = now_seconds(), cpu = cpu_seconds(server_pid), took;
    do {
        for (unsigned c = 0; c < CONNECTIONS; c++) {
            for (unsigned k = 0; k < DEPTH; k++) {
                uint32_t i = (uint32_t)(random_number() % keys);
                if (k % 2 == 0)
                    get(&wires[c], i);
                else
                    put(&wires[c], i, 32, NULL);
            }
            wire_flush(&wires[c]);
        }
        for (unsigned c = 0; c < CONNECTIONS; c++)
            wire_finish(&wires[c]);
        n += CONNECTIONS * DEPTH;
        took = now_seconds() - start;
    } while (took < seconds);
    print("requests a second", (double)n / took);
    print("processor time a request, us", (cpu_seconds(server_pid) - cpu) * 1e6 / (double)n);
}

/* Values of `len` bytes take the place of what is there, one key at a time, in random order: twice as many requests
 * that change something as keys are wanted. Between batches GETs, each alone, are timed. */
static void shift_to(unsigned len, uint64_t target, uint32_t *n, struct histogram *h)
{
    uint32_t want = (uint32_t)(target / (len + KEY)), most = want > *n ? want : *n;
    uint64_t changes = 2 * (uint64_t)most;
    struct wire *w = &wires[0];
    for (uint64_t done = 0; done < changes + most;) {
        for (unsigned k = 0; k < BATCH; k++, done++) {
            uint32_t i = done < changes ? (uint32_t)(random_number() % most) : (uint32_t)(done - changes) % most;
            if (i >= want)
                del(w, i);
            else if (lengths[i] != len)
                put(w, i, len, NULL);
        }
        wire_finish(w);
        if (done * 20 / (changes + most) != (done - BATCH) * 20 / (changes + most))
            point();
        for (unsigned k = 0; k < GETS; k++) {
            double from = now_seconds();
            get(&wires[1 + k % (CONNECTIONS - 1)], (uint32_t)(random_number() % want));
            wire_finish(&wires[1 + k % (CONNECTIONS - 1)]);
            histogram_add(h, now_seconds() - from);
        }
    }
    *n = want;
}

static void scene_shift(uint64_t target, uint32_t *n)
{
    static struct histogram h;
    double worst = 0, ratio = 0, start = now_seconds(), cpu = cpu_seconds(server_pid);
    for (unsigned phase = 0; phase < PHASES; phase++) {
        shift_to(sizes[phase], target, n, &h);
        pause_for(0.5);
        ratio = mib_over_empty() * 1048576 / (double)data;
        worst = ratio > worst ? ratio : worst;
    }
    print("shift: resident ÷ data, worst", worst);
    pause_for(2);
    ratio = mib_over_empty() * 1048576 / (double)data;
    print("shift: resident ÷ data, end", ratio);
    print("shift: p50, us", 1e6 * histogram_at(&h, 0.5));
    print("shift: p99, us", 1e6 * histogram_at(&h, 0.99));
    print("shift: p99.9, us", 1e6 * histogram_at(&h, 0.999));
    print("shift: max, us", 1e6 * h.max);
    print("shift: time, s", now_seconds() - start);
    print("shift: processor time, s", cpu_seconds(server_pid) - cpu);
}

static void scene_wave(uint32_t n)
{
    uint64_t before = key_count();
    for (uint32_t i = 0; i < n / 3;) {
        for (unsigned k = 0; k < 256 && i < n / 3; k++, i++)
            put(&wires[0], n + i, 64, seconds < 1 ? "500" : "2000");
        wire_finish(&wires[0]);
    }
    double start = now_seconds();
    while (key_count() > before && now_seconds() - start < 60)
        usleep(50 * 1000);
    print("wave: s until it is gone", now_seconds() - start);
    pause_for(2);
    print("wave: resident ÷ data", mib_over_empty() * 1048576 / (double)data);
}

static void scene_flush(void)
{
    flush();
    wait_for(3);
    print("flush: MiB over empty after 3 s", mib_over_empty());
}

static void scene_refill(uint64_t target)
{
    fill((uint32_t)(target / (sizes[PHASES - 1] + KEY)), sizes[PHASES - 1]);
    double cpu = cpu_seconds(server_pid), start = now_seconds();
    pause_for(3);
    print("refill: resident ÷ data, idle", mib_over_empty() * 1048576 / (double)data);
    print("idle: processor time, % of one", (cpu_seconds(server_pid) - cpu) / (now_seconds() - start) * 100);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: kv-load PID PORT MIB SECONDS KEYS [POINTS]\n");
        return 2;
    }
    server_pid = atoi(argv[1]);
    uint64_t target = (uint64_t)atoi(argv[3]) << 20;
    uint32_t keys = (uint32_t)atol(argv[5]), n = 0, most = (uint32_t)(target / (sizes[0] + KEY)) * 2;
    seconds = atof(argv[4]);
    keys_room = keys > most ? keys : most;
    lengths = calloc(keys_room, sizeof *lengths);
    if (lengths == NULL || keys == 0 || target == 0)
        return 2;
    for (unsigned c = 0; c < CONNECTIONS; c++)
        wire_open(&wires[c], atoi(argv[2]));
    for (unsigned c = 0; c < CONNECTIONS; c++) { // buffers and code that come with the first use are not counted
        get(&wires[c], 0);
        wire_finish(&wires[c]);
    }
    empty_mib = resident_mib(server_pid);
    print("resident when empty, MiB", empty_mib);
    scene_keys(keys);
    scene_rate(keys);
    flush();
    pause_for(1);
    if (argc == 7 && (points = fopen(argv[6], "we")) == NULL)
        return 2;
    scene_shift(target, &n);
    scene_wave(n);
    scene_flush();
    scene_refill(target);
    print("errors", (double)wire_errors);
    return wire_errors > 0 || (points != NULL && fclose(points) != 0);
}
