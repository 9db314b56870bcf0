//! Which call sites hold memory: a sampled profile of the global allocator and of handles.
//!
//! On average one block is sampled in every `interval` bytes that are allocated. Its stack is kept until it is freed.
//! `TINYMEM=profile:on` does the same without code in the program. A process that does not profile pays nothing.

use crate::sys;
use core::ptr;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Samples from now on. Blocks that were allocated before are not in the profile.
///
/// `interval` is in bytes, on average, from one sample to the next. 1: every block. 0: as the option profile_interval
/// says, 512 KiB unless set.
///
/// # Errors
/// `ENOMEM`. `EBUSY`: the process has samples of another interval. If sampling is on already, nothing happens.
pub fn start(interval: usize) -> io::Result<()> {
    // SAFETY: tm_profile_start has no demands.
    result(unsafe { sys::tm_profile_start(interval) })
}

/// Stops sampling. Sampled blocks stay in the profile until they are freed.
pub fn stop() {
    // SAFETY: no demands.
    unsafe { sys::tm_profile_stop() }
}

/// Writes the profile, in the form that the option profile_format names, to a file, which is created or replaced.
/// `None`: to the file that the option profile_file names.
///
/// ```
/// tinymem::profile::start(1)?;
/// let list = tinymem::Handle::new([0u8; 5000]);
/// let file = std::env::temp_dir().join(format!("profile.{}", std::process::id()));
/// tinymem::profile::dump(Some(&file))?;
/// tinymem::profile::stop();
/// assert!(std::fs::metadata(&file)?.len() > 0);
/// # drop(list);
/// # std::fs::remove_file(&file)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// `EINVAL`: nothing has been profiled, or the path has a zero byte. `EAGAIN`: another thread is writing the profile.
/// What opening and writing the file leads to; without memory.
pub fn dump(path: Option<&Path>) -> io::Result<()> {
    let path = path.map(|path| CString::new(path.as_os_str().as_bytes())).transpose()?;
    // SAFETY: null, or a text that ends with a zero byte.
    result(unsafe { sys::tm_profile_dump(path.as_ref().map_or(ptr::null(), |path| path.as_ptr().cast())) })
}

fn result(error: i32) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
