//! The error of functions that allocate.

use core::fmt;

/// No object could be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocError {
    /// There is no memory, no free handle, or the size is above `isize::MAX`.
    OutOfMemory,
    /// The type's alignment is above [`MAX_ALIGN`](crate::MAX_ALIGN).
    Alignment,
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AllocError::OutOfMemory => "tinymem: out of memory",
            AllocError::Alignment => "tinymem: the alignment is above 2 MiB",
        })
    }
}

#[cfg(feature = "std")]
impl std::error::Error for AllocError {}

/// For functions that return no error.
#[cold]
pub(crate) fn failed(why: AllocError) -> ! {
    panic!("{}", why)
}
