//! `Handle`, the owner of an object.

use crate::error::{failed, AllocError};
use crate::name::Name;
use crate::pinned::{Locked, Pinned, PinnedMut};
use crate::raw::{allocate, with_address, FreeAtEnd, RawPin};
use crate::reference::Ref;
use crate::sys;
use core::marker::PhantomData;
use core::mem::{align_of, needs_drop, size_of, ManuallyDrop};
use core::num::NonZeroU32;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;

/// Owns an object of the movable heap. Dropping the handle drops the value and frees the object.
///
/// Like a `Box`, but the value has an address only while it is pinned. 8 bytes, also as an `Option`; with a slice,
/// `str` or a trait object 16.
///
/// ```
/// use tinymem::Handle;
/// let mut numbers: Handle<[u8]> = Handle::from([3, 1, 2]);
/// numbers.pin_mut().sort();
/// assert_eq!(*numbers.pin(), [1, 2, 3]);
/// ```
pub struct Handle<T: ?Sized> {
    /// The handle in place of an address, with the length or the table of functions that a pointer to `T` carries.
    /// Never dereferenced.
    raw: NonNull<T>,
    _owns: PhantomData<T>,
}

// SAFETY: a handle is the only owner of its value, as a Box is; the value comes along, so it must be `Send`. The
// library lets any thread pin and free, and whatever hands the handle over also orders what was written before (a
// release and an acquire).
unsafe impl<T: ?Sized + Send> Send for Handle<T> {}

// SAFETY: a shared handle gives shared references only, on several threads at a time, which is what `Sync` says about
// the value. Pins of several threads count independently.
unsafe impl<T: ?Sized + Sync> Sync for Handle<T> {}

// The handle may move though the value must not: the value is elsewhere.
impl<T: ?Sized> Unpin for Handle<T> {}
impl<T: ?Sized + UnwindSafe> UnwindSafe for Handle<T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for Handle<T> {}

impl<T> Handle<T> {
    /// Moves the value into a new object.
    ///
    /// # Panics
    /// Without memory, or when `T` is aligned to more than [`MAX_ALIGN`](crate::MAX_ALIGN).
    #[inline]
    pub fn new(value: T) -> Handle<T> {
        Handle::try_new(value).unwrap_or_else(|why| failed(why))
    }

    /// As [`new`](Handle::new), with an error in place of a panic; the value is dropped then.
    #[inline]
    pub fn try_new(value: T) -> Result<Handle<T>, AllocError> {
        let bits = allocate(align_of::<T>(), size_of::<T>())?;
        // SAFETY: the object is new: live, large enough and aligned, and only known here.
        Ok(unsafe { Handle::fill(bits, value) })
    }

    /// # Safety
    /// A live object that holds no value so far, has room and alignment for one, and is known to the caller only.
    #[inline]
    pub(crate) unsafe fn fill(bits: u64, value: T) -> Handle<T> {
        let (_pin, address) = RawPin::new(bits);
        address.as_ptr().cast::<T>().write(value);
        Handle::from_bits(bits)
    }

    /// Allocates first and then puts in what `make` returns. When `make` panics the object is freed.
    ///
    /// # Panics
    /// As [`new`](Handle::new).
    pub fn new_with(make: impl FnOnce() -> T) -> Handle<T> {
        let bits = allocate(align_of::<T>(), size_of::<T>()).unwrap_or_else(|why| failed(why));
        let free = FreeAtEnd(bits);
        let value = make();
        core::mem::forget(free);
        // SAFETY: as in try_new.
        unsafe { Handle::fill(bits, value) }
    }

    /// Moves the value out and frees the object.
    pub fn into_inner(self) -> T {
        let bits = self.into_bits();
        let _free = FreeAtEnd(bits);
        // SAFETY: the handle is gone, so the value is moved out once, and the object is freed without a drop.
        unsafe {
            let (_pin, address) = RawPin::new(bits);
            address.as_ptr().cast::<T>().read()
        }
    }

    /// A copy of the value.
    #[inline]
    pub fn get(&self) -> T
    where
        T: Copy,
    {
        self.with(|value| *value)
    }

    /// Drops the value and puts another one in its place.
    #[inline]
    pub fn set(&mut self, value: T) {
        drop(self.replace(value));
    }

    /// Puts another value in place and returns the old one.
    #[inline]
    pub fn replace(&mut self, value: T) -> T {
        self.with_mut(|place| core::mem::replace(place, value))
    }

    /// A name of 4 bytes for the object. It does not keep the object alive.
    #[inline]
    pub fn to_ref(&self) -> Ref<T> {
        // SAFETY: tm_ref has no demands; a live handle's index is not 0.
        unsafe { Ref::new(NonZeroU32::new_unchecked(sys::tm_ref(self.bits()))) }
    }

    /// A name of 8 bytes for the object, which knows when the object has been freed. It does not keep the object alive.
    #[inline]
    pub fn name(&self) -> Name<T> {
        // SAFETY: a handle is not 0.
        unsafe { Name::from_bits(self.bits()).unwrap_unchecked() }
    }

    /// Gives up ownership: the handle as C knows it, a `tm_handle_t`. The value is not dropped.
    pub fn into_bits(self) -> u64 {
        ManuallyDrop::new(self).bits()
    }

    /// Takes ownership of an object.
    ///
    /// # Safety
    /// `bits` is a live handle that nobody else owns. The object holds a value of type `T`, and has room and alignment
    /// for it.
    pub unsafe fn from_bits(bits: u64) -> Handle<T> {
        Handle::from_raw(bits as usize as *mut T)
    }
}

impl<T: ?Sized> Handle<T> {
    /// The handle as C knows it, a `tm_handle_t`. It is valid for as long as this handle exists.
    #[inline]
    pub fn bits(&self) -> u64 {
        self.raw.as_ptr().cast::<u8>() as u64
    }

    /// Gives up ownership: a pointer that has the handle in place of an address. It must not be dereferenced. The
    /// value is not dropped. See [`unsize!`](crate::unsize) for its use.
    pub fn into_raw(self) -> *mut T {
        ManuallyDrop::new(self).raw.as_ptr()
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` is from [`into_raw`](Handle::into_raw), of a handle to the same value; this is done once. The pointer may
    /// have been coerced to a slice or to a trait object of the value's type.
    pub unsafe fn from_raw(raw: *mut T) -> Handle<T> {
        Handle { raw: NonNull::new_unchecked(raw), _owns: PhantomData }
    }

    /// The handle, and the length of a slice.
    #[inline]
    pub(crate) fn raw(&self) -> NonNull<T> {
        self.raw
    }

    /// The pointer to the value at an address.
    #[inline]
    pub(crate) fn at(&self, address: NonNull<u8>) -> NonNull<T> {
        with_address(self.raw, address)
    }

    /// Pins the object: it stays where it is until the guard is dropped.
    #[inline]
    pub fn pin(&self) -> Pinned<'_, T> {
        // SAFETY: the guard borrows the handle, so the object is live until the pin ends, and not borrowed mutably.
        unsafe {
            let (pin, address) = RawPin::new(self.bits());
            Pinned::new(pin, self.at(address))
        }
    }

    /// As [`pin`](Handle::pin), for changes.
    #[inline]
    pub fn pin_mut(&mut self) -> PinnedMut<'_, T> {
        // SAFETY: as in `pin`; and the guard borrows the handle mutably, so there is no other reference.
        unsafe {
            let (pin, address) = RawPin::new(self.bits());
            PinnedMut::new(pin, self.at(address))
        }
    }

    /// Pins the object for a call.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        // SAFETY: as in `pin`; the reference ends with the call, and the pin ends after it, by a panic too.
        unsafe {
            let (_pin, address) = RawPin::new(self.bits());
            f(self.at(address).as_ref())
        }
    }

    /// As [`with`](Handle::with), for changes.
    #[inline]
    pub fn with_mut<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: as in `pin_mut`; the reference ends with the call, and the pin ends after it, by a panic too.
        unsafe {
            let (_pin, address) = RawPin::new(self.bits());
            f(self.at(address).as_mut())
        }
    }

    /// Locks the object at its address: a pin that any thread may end, and that may last.
    ///
    /// # Panics
    /// Without memory for the count.
    pub fn lock(&self) -> Locked<'_, T> {
        // SAFETY: the guard borrows the handle, so the object is live until the lock ends.
        let address = unsafe { sys::tm_lock(self.bits()) };
        match NonNull::new(address.cast()) {
            // SAFETY: locked, and `at` is a pointer to the value.
            Some(address) => unsafe { Locked::new(self.bits(), self.at(address)) },
            None => failed(AllocError::OutOfMemory),
        }
    }

    /// Usable bytes of the object, at least the size of the value.
    pub fn usable_size(&self) -> usize {
        // SAFETY: the handle is live.
        unsafe { sys::tm_sizeof(self.bits()) }
    }
}

impl<T: ?Sized> Drop for Handle<T> {
    #[inline]
    fn drop(&mut self) {
        let bits = self.bits();
        let _free = FreeAtEnd(bits); // after the pin has ended, also when the value's drop panics
        if needs_drop::<T>() {
            // SAFETY: the handle owns the value, which is dropped here and nowhere else, at an address that stays.
            unsafe {
                let (_pin, address) = RawPin::new(bits);
                self.at(address).as_ptr().drop_in_place();
            }
        }
    }
}

/// Turns a handle into one to a slice or to a trait object: `unsize!(handle => dyn Trait)`.
///
/// ```
/// use std::fmt::Display;
/// use tinymem::{unsize, Handle};
/// let things: Vec<Handle<dyn Display>> =
///     vec![unsize!(Handle::new(1) => dyn Display), unsize!(Handle::new("two") => dyn Display)];
/// let text: Vec<String> = things.iter().map(|t| t.with(|t| t.to_string())).collect();
/// assert_eq!(text, ["1", "two"]);
/// ```
#[macro_export]
macro_rules! unsize {
    ($handle:expr => $type:ty) => {{
        let raw = $crate::Handle::into_raw($handle);
        let raw: *mut $type = raw;
        // SAFETY: a coercion of a pointer keeps its address, and the type of the value that it is to.
        unsafe { $crate::Handle::from_raw(raw) }
    }};
}
