//! The library's options: read, changed, or compiled in.
//!
//! A value comes from the last of these that sets it: the library's defaults; [`options!`](crate::options!) in the
//! program; the environment variable `TINYMEM`, unless the program runs set-user-ID; [`set`]. The manual page
//! tinymem(7) lists the options.

use crate::sys;
use core::fmt;

/// Why an option was not read or not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no such option.
    Unknown,
    /// The option can be set at the start of the program only.
    AtStartOnly,
    /// The option does not take this value.
    Value,
    /// The value is longer than the buffer.
    TooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Unknown => "tinymem: there is no such option",
            Error::AtStartOnly => "tinymem: the option can be set at the start of the program only",
            Error::Value => "tinymem: the option does not take this value",
            Error::TooLong => "tinymem: the option's value is longer than the buffer",
        })
    }
}

#[cfg(feature = "std")]
impl std::error::Error for Error {}

/// No name and no value is longer, with the byte that ends it in C.
const LONGEST: usize = 256;

/// The text as C has it. `None`: it is too long, or has a zero byte.
fn c_text(text: &str) -> Option<[u8; LONGEST]> {
    let mut bytes = [0; LONGEST];
    bytes[..LONGEST - 1].get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    (!text.contains('\0')).then_some(bytes)
}

fn failed() -> Error {
    const EPERM: i32 = 1;
    const ENOENT: i32 = 2;
    const ERANGE: i32 = 34;
    match sys::errno() {
        EPERM => Error::AtStartOnly,
        ENOENT => Error::Unknown,
        ERANGE => Error::TooLong,
        _ => Error::Value,
    }
}

/// The value of an option as text, in a buffer: 256 bytes are always enough.
///
/// # Errors
/// [`Error::Unknown`], [`Error::TooLong`].
pub fn read<'b>(name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
    let mut value = [0; LONGEST];
    let name = c_text(name).ok_or(Error::Unknown)?;
    // SAFETY: the name ends with a zero byte, and the buffer has that size.
    if !unsafe { sys::tm_option_get(name.as_ptr().cast(), value.as_mut_ptr(), value.len()) } {
        return Err(failed());
    }
    let length = value.iter().position(|&byte| byte == 0).unwrap_or(LONGEST);
    let text = buffer.get_mut(..length).ok_or(Error::TooLong)?;
    text.copy_from_slice(&value[..length]);
    Ok(text)
}

/// The value of an option as text.
///
/// ```
/// use tinymem::options::{self, Error};
/// assert_eq!(options::get("compaction")?, "background");
/// assert_eq!(options::get("no such option"), Err(Error::Unknown));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// [`Error::Unknown`].
#[cfg(feature = "std")]
pub fn get(name: &str) -> Result<std::string::String, Error> {
    read(name, &mut [0; LONGEST]).map(|value| std::string::String::from_utf8_lossy(value).into_owned())
}

/// Changes an option of the running process: purge_delay, purge_keep, background, compact_target, compact_churn,
/// compact_cpu, batch_objects, batch_kib or stale. The new value takes effect when the library reads it next.
///
/// ```
/// use tinymem::options::{self, Error};
/// options::set("purge_delay", "500")?;
/// assert_eq!(options::get("purge_delay")?, "500");
/// assert_eq!(options::set("purge_delay", "soon"), Err(Error::Value));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// [`Error::Unknown`], [`Error::AtStartOnly`], [`Error::Value`].
pub fn set(name: &str, value: &str) -> Result<(), Error> {
    let name = c_text(name).ok_or(Error::Unknown)?;
    let value = c_text(value).ok_or(Error::Value)?;
    // SAFETY: both texts end with a zero byte.
    if unsafe { sys::tm_option_set(name.as_ptr().cast(), value.as_ptr().cast()) } {
        Ok(())
    } else {
        Err(failed())
    }
}

/// What [`options!`](crate::options!) defines.
#[doc(hidden)]
#[repr(transparent)]
pub struct CompiledIn(*const u8);

// SAFETY: the pointer is to text that never changes.
unsafe impl Sync for CompiledIn {}

impl CompiledIn {
    /// `text` ends with a zero byte.
    pub const fn new(text: &'static str) -> CompiledIn {
        assert!(text.as_bytes()[text.len() - 1] == 0);
        CompiledIn(text.as_ptr())
    }
}

/// Compiles options into the program, in the syntax of the environment variable `TINYMEM`. The library reads them before
/// the first allocation. A program does this once.
///
/// ```
/// tinymem::options!("purge_delay:1234,compaction:manual");
///
/// assert_eq!(tinymem::options::get("purge_delay").unwrap(), "1234");
/// ```
#[macro_export]
macro_rules! options {
    ($text:literal) => {
        const _: () = {
            #[no_mangle]
            #[used]
            #[allow(non_upper_case_globals)]
            pub static tm_options: $crate::options::CompiledIn =
                $crate::options::CompiledIn::new(::core::concat!($text, "\0"));
        };
    };
}
