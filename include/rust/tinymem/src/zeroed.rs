//! Objects whose bytes are zero from the start.

use crate::error::{failed, AllocError};
use crate::handle::Handle;
use crate::raw::allocate_zeroed;
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::{align_of, size_of, ManuallyDrop, MaybeUninit};
use core::num::Wrapping;
use core::ptr::{self, NonNull};
use core::sync::atomic;

/// Types of which all bytes zero are a value: numbers, `bool`, arrays and tuples of such, and a few others.
///
/// # Safety
/// A place of the type's size and alignment whose bytes are all zero holds a value of the type.
pub unsafe trait Zeroable {}

macro_rules! zeroable {
    ($($type:ty)*) => {$(
        // SAFETY: zero is 0, 0.0, false or '\0'.
        unsafe impl Zeroable for $type {}
    )*};
}
zeroable!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);
zeroable!(atomic::AtomicBool atomic::AtomicU8 atomic::AtomicU16 atomic::AtomicU32 atomic::AtomicU64
    atomic::AtomicUsize atomic::AtomicI8 atomic::AtomicI16 atomic::AtomicI32 atomic::AtomicI64 atomic::AtomicIsize);

// SAFETY: it has no bytes.
unsafe impl Zeroable for () {}
// SAFETY: the null pointer.
unsafe impl<T> Zeroable for *const T {}
// SAFETY: the same.
unsafe impl<T> Zeroable for *mut T {}
// SAFETY: `None`, by std's promise for this type.
unsafe impl<T> Zeroable for Option<NonNull<T>> {}
// SAFETY: any bytes are.
unsafe impl<T> Zeroable for MaybeUninit<T> {}
// SAFETY: it has no bytes.
unsafe impl<T: ?Sized> Zeroable for PhantomData<T> {}
// SAFETY: the layout is T's, and so are the values.
unsafe impl<T: Zeroable> Zeroable for Cell<T> {}
// SAFETY: the same.
unsafe impl<T: Zeroable> Zeroable for Wrapping<T> {}
// SAFETY: the same.
unsafe impl<T: Zeroable> Zeroable for ManuallyDrop<T> {}
// SAFETY: each element is zero.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}
// SAFETY: each member is zero.
unsafe impl<A: Zeroable, B: Zeroable> Zeroable for (A, B) {}
// SAFETY: the same.
unsafe impl<A: Zeroable, B: Zeroable, C: Zeroable> Zeroable for (A, B, C) {}
// SAFETY: the same.
unsafe impl<A: Zeroable, B: Zeroable, C: Zeroable, D: Zeroable> Zeroable for (A, B, C, D) {}

impl<T: Zeroable> Handle<T> {
    /// A value of zero bytes, which is never on the stack, whatever its size.
    ///
    /// ```
    /// let image = tinymem::Handle::<[[u8; 4096]; 4096]>::zeroed();
    /// assert_eq!(image.pin()[4095][4095], 0);
    /// ```
    ///
    /// # Panics
    /// As [`Handle::new`].
    pub fn zeroed() -> Handle<T> {
        Handle::try_zeroed().unwrap_or_else(|why| failed(why))
    }

    /// As [`zeroed`](Handle::zeroed), with an error in place of a panic.
    pub fn try_zeroed() -> Result<Handle<T>, AllocError> {
        let bits = allocate_zeroed(align_of::<T>(), 1, size_of::<T>())?;
        // SAFETY: the object is new and only known here; zero bytes are a T.
        Ok(unsafe { Handle::from_bits(bits) })
    }
}

impl<T: Zeroable> Handle<[T]> {
    /// `len` values of zero bytes.
    ///
    /// ```
    /// let counts = tinymem::Handle::<[u32]>::zeroed_slice(1000);
    /// assert!(counts.pin().iter().all(|&n| n == 0));
    /// ```
    ///
    /// # Panics
    /// As [`Handle::new`].
    pub fn zeroed_slice(len: usize) -> Handle<[T]> {
        Handle::try_zeroed_slice(len).unwrap_or_else(|why| failed(why))
    }

    /// As [`zeroed_slice`](Handle::zeroed_slice), with an error in place of a panic.
    pub fn try_zeroed_slice(len: usize) -> Result<Handle<[T]>, AllocError> {
        let bits = allocate_zeroed(align_of::<T>(), len, size_of::<T>())?;
        // SAFETY: the object is new and only known here; it has room for `len` values, and zero bytes are a T.
        Ok(unsafe { Handle::from_raw(ptr::slice_from_raw_parts_mut(bits as usize as *mut T, len)) })
    }
}

impl<T> Handle<MaybeUninit<T>> {
    /// The value, which was written piece by piece.
    ///
    /// # Safety
    /// The object holds a value of type `T`.
    pub unsafe fn assume_init(self) -> Handle<T> {
        Handle::from_raw(self.into_raw().cast())
    }
}

impl<T> Handle<[MaybeUninit<T>]> {
    /// The values, which were written one by one.
    ///
    /// # Safety
    /// The object holds values of type `T`, as many as its length says.
    pub unsafe fn assume_init(self) -> Handle<[T]> {
        Handle::from_raw(self.into_raw() as *mut [T])
    }
}
