/* public.h - <tinymem/tinymem.h> as the library's own files include it.
 *
 * The functions that pin.h inlines read tm_words_ and tm_self_. Both names are exported, and another library in the
 * process may define them first: libtinymem.so and libtinymem-handles.so both define them. Code inside a library must
 * use that library's own variables. Here the two names become the hidden names of these variables. */
#ifndef TMI_BASE_PUBLIC_H
#define TMI_BASE_PUBLIC_H

#define tm_words_ tmi_words
#define tm_self_ tmi_self_
#include "tinymem/tinymem.h"

#endif
