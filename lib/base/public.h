/* public.h - <tinymem/tinymem.h> as the library's own files include it.
 *
 * The functions that pin.h inlines read tm_words_ and tm_self_. These are exported names, and another library in the
 * process may define them first: libtinymem.so and libtinymem-handles.so both do. Inside a library they must be its
 * own, whose hidden names they get here. */
#ifndef TMI_BASE_PUBLIC_H
#define TMI_BASE_PUBLIC_H

#define tm_words_ tmi_words
#define tm_self_ tmi_self_
#include "tinymem/tinymem.h"

#endif
