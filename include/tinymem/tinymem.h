/** tinymem.h - the public interface of tinymem.
 *
 *  A program that runs on tinymem by LD_PRELOAD=libtinymem.so or by linking -ltinymem needs nothing from this file: malloc and its
 *  family, and the C++ operators, are replaced as they stand. */
#ifndef TINYMEM_TINYMEM_H
#define TINYMEM_TINYMEM_H

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library in use, "major.minor.patch". Static storage. Any thread, any time. */
const char *tm_version(void);

#ifdef __cplusplus
}
#endif

#endif
