/** settings.hpp - the library's options at run time, and the profile: <tinymem/options.h> and <tinymem/profile.h>. */
#ifndef TINYMEM_CXX_SETTINGS_HPP
#define TINYMEM_CXX_SETTINGS_HPP

#include <cerrno>
#include <optional>
#include <system_error>

#include <tinymem/cxx/base.hpp>
#include <tinymem/options.h>
#include <tinymem/profile.h>

namespace tinymem {

/** The value of an option as text; nothing if there is no such option. Throws std::bad_alloc. Any thread.
 *  Options that are compiled in: `const char *tm_options = "huge:on";`, outside of all namespaces. */
[[nodiscard]] inline std::optional<std::string> option(const char *name)
{
    std::string value(256, '\0');
    while (!tm_option_get(name, &value[0], value.size())) {
        if (errno != ERANGE)
            return std::nullopt;
        value.resize(value.size() * 2);
    }
    value.resize(std::strlen(value.c_str()));
    return value;
}

/** Change an option of the running process, for example set_option("purge_delay", "1000"). Any thread.
 *  @return  no error, or no_such_file_or_directory: there is no such option; operation_not_permitted: it can be set
 *           at the start only; invalid_argument: it does not take this value. */
[[nodiscard]] inline std::error_code set_option(const char *name, const char *value) noexcept
{
    return tm_option_set(name, value) ? std::error_code() : std::error_code(errno, std::generic_category());
}

/** Sample blocks of malloc and handles from now on, one in every `interval` bytes on average; 1: every block; 0: as
 *  option profile_interval says.
 *  @return  no error, also if sampling is on already; not_enough_memory; device_or_resource_busy: the process has
 *           samples of another interval.
 *  @thread  any; not in a signal handler. */
[[nodiscard]] inline std::error_code profile_start(std::size_t interval = 0) noexcept
{
    return {tm_profile_start(interval), std::generic_category()};
}

/** Stop sampling. Sampled blocks stay in the profile until they are freed. Any thread. */
inline void profile_stop() noexcept { tm_profile_stop(); }

/** Write the profile to a file; null: the one that option profile_file names.
 *  @return  no error, or invalid_argument: nothing has been profiled; not_enough_memory;
 *           resource_unavailable_try_again: another thread is writing it; an error of opening or writing the file.
 *  @thread  any. */
[[nodiscard]] inline std::error_code profile_dump(const char *path = nullptr) noexcept
{
    return {tm_profile_dump(path), std::generic_category()};
}

/** Whether moving a block of malloc by hand could free a page. See <tinymem/profile.h>. Any thread. */
[[nodiscard]] inline bool should_move(const void *p) noexcept { return tm_should_move(p); }

} // namespace tinymem

#endif
