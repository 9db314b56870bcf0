//! Objects beside others.

use crate::error::{failed, AllocError};
use crate::handle::Handle;
use crate::handle32::Handle32;
use crate::raw::allocate_near;
use core::mem::{align_of, size_of};

impl<T> Handle<T> {
    /// As [`new`](Handle::new), near another object: in the same page if that has room, or else in the same slab. For
    /// objects that are used together, such as a node and its parent. Objects whose sizes differ much are not placed
    /// together, and neither are types that are aligned to more than 16 bytes. Both objects may move later; they mostly
    /// stay together.
    ///
    /// ```
    /// use tinymem::Handle;
    /// let parent = Handle::new([0u64; 4]);
    /// let child = Handle::new_near([1u64; 4], &parent);
    /// assert_eq!(child.get(), [1; 4]);
    /// ```
    ///
    /// # Panics
    /// As [`new`](Handle::new).
    #[inline]
    pub fn new_near<U: ?Sized>(value: T, near: &Handle<U>) -> Handle<T> {
        Handle::try_new_near(value, near).unwrap_or_else(|why| failed(why))
    }

    /// As [`new_near`](Handle::new_near), with an error in place of a panic; the value is dropped then.
    #[inline]
    pub fn try_new_near<U: ?Sized>(value: T, near: &Handle<U>) -> Result<Handle<T>, AllocError> {
        let bits = allocate_near(align_of::<T>(), size_of::<T>(), near.bits())?;
        // SAFETY: the object is new: live, large enough and aligned, and only known here.
        Ok(unsafe { Handle::fill(bits, value) })
    }
}

impl<T> Handle32<T> {
    /// As [`Handle::new_near`].
    ///
    /// # Panics
    /// As [`Handle::new`].
    #[inline]
    pub fn new_near<U>(value: T, near: &Handle32<U>) -> Handle32<T> {
        Handle32::try_new_near(value, near).unwrap_or_else(|why| failed(why))
    }

    /// As [`new_near`](Handle32::new_near), with an error in place of a panic; the value is dropped then.
    #[inline]
    pub fn try_new_near<U>(value: T, near: &Handle32<U>) -> Result<Handle32<T>, AllocError> {
        let bits = allocate_near(align_of::<T>(), size_of::<T>(), near.name().to_bits())?;
        // SAFETY: as in Handle::try_new_near.
        Ok(unsafe { Handle::fill(bits, value) }.into())
    }
}
