/* Whether memory is mapped, by asking the kernel instead of faulting; and files mapped as memory. */
#include "os/os.h"
#include "os/os_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* The call changes nothing, since its first argument is invalid. The kernel reads the set before it checks that
 * argument. */
bool tmi_os_readable(const void *p)
{
    return tmi_call_errno(tmi_call(SYS_rt_sigprocmask, -1, tmi_arg(p), 0, 8)) != EFAULT;
}

int tmi_os_map_file(const char *path, void **out, size_t *size)
{
    int fd = tmi_os_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -fd;
    long end = tmi_call(SYS_lseek, fd, 0, SEEK_END);
    long at = end > 0 ? tmi_call(SYS_mmap, 0, end, PROT_READ, MAP_PRIVATE, fd, 0) : -EINVAL;
    tmi_os_close(fd);
    if (tmi_call_errno(at) != 0)
        return tmi_call_errno(at);
    *out = (void *)at;
    *size = (size_t)end;
    return 0;
}
