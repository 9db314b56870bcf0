//! Guards: an object stays in place for as long as one of them exists.

use crate::raw::RawPin;
use crate::sys;
use crate::thread_end;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// A pinned object, from [`Handle::pin`](crate::Handle::pin). It can be moved again when the guard is dropped.
///
/// Pins should be short: what is pinned cannot make room. A guard is not `Send`, since a pin ends on the thread that
/// began it; [`Locked`] is the guard that may go to another thread, or into a thread-local variable.
pub struct Pinned<'a, T: ?Sized> {
    value: NonNull<T>,
    pin: RawPin,
    _borrows: PhantomData<&'a T>,
}

// SAFETY: a shared guard gives shared references to the value on several threads, which is what `Sync` says
// about the value; it cannot be dropped there. Not `Send`: the raw pin is not, since only the thread that pinned may
// unpin.
unsafe impl<T: ?Sized + Sync> Sync for Pinned<'_, T> {}

impl<'a, T: ?Sized> Pinned<'a, T> {
    /// # Safety
    /// `pin` is of the object that holds `value`, which is live and not borrowed mutably for `'a`.
    #[inline]
    pub(crate) unsafe fn new(pin: RawPin, value: NonNull<T>) -> Self {
        let pin = if thread_end::watch() { pin } else { pin.into_lock() };
        Pinned { value, pin, _borrows: PhantomData }
    }

    /// A guard of a part of the value.
    ///
    /// ```
    /// use tinymem::{Handle, Pinned};
    /// let pair = Handle::new((1, String::from("one")));
    /// let text = Pinned::map(pair.pin(), |pair| &pair.1);
    /// assert_eq!(*text, "one");
    /// ```
    pub fn map<U: ?Sized>(this: Self, part: impl FnOnce(&T) -> &U) -> Pinned<'a, U> {
        let value = NonNull::from(part(&this));
        Pinned { value, pin: this.pin, _borrows: PhantomData }
    }

    /// The address, which holds for as long as the guard.
    pub fn as_ptr(this: &Self) -> *const T {
        this.value.as_ptr()
    }
}

impl<T: ?Sized> Deref for Pinned<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: pinned, live, and not borrowed mutably while the guard exists.
        unsafe { self.value.as_ref() }
    }
}

/// A pinned object that may be changed, from [`Handle::pin_mut`](crate::Handle::pin_mut).
pub struct PinnedMut<'a, T: ?Sized> {
    value: NonNull<T>,
    pin: RawPin,
    _borrows: PhantomData<&'a mut T>,
}

// SAFETY: as for Pinned: what a shared guard gives is a shared reference. Not `Send`, for the same reason.
unsafe impl<T: ?Sized + Sync> Sync for PinnedMut<'_, T> {}

impl<'a, T: ?Sized> PinnedMut<'a, T> {
    /// # Safety
    /// `pin` is of the object that holds `value`, which is live and not borrowed by anybody else for `'a`.
    #[inline]
    pub(crate) unsafe fn new(pin: RawPin, value: NonNull<T>) -> Self {
        let pin = if thread_end::watch() { pin } else { pin.into_lock() };
        PinnedMut { value, pin, _borrows: PhantomData }
    }

    /// A guard of a part of the value.
    pub fn map<U: ?Sized>(mut this: Self, part: impl FnOnce(&mut T) -> &mut U) -> PinnedMut<'a, U> {
        let value = NonNull::from(part(&mut this));
        PinnedMut { value, pin: this.pin, _borrows: PhantomData }
    }

    /// The address, which holds for as long as the guard.
    pub fn as_mut_ptr(this: &mut Self) -> *mut T {
        this.value.as_ptr()
    }
}

impl<T: ?Sized> Deref for PinnedMut<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: pinned, live, and borrowed by this guard alone.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for PinnedMut<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in deref.
        unsafe { self.value.as_mut() }
    }
}

/// A locked object, from [`Handle::lock`](crate::Handle::lock). It can be moved again when the last lock of it is
/// dropped.
///
/// Locking excludes nobody: other threads may pin and lock the object too.
pub struct Locked<'a, T: ?Sized> {
    value: NonNull<T>,
    bits: u64,
    _borrows: PhantomData<&'a T>,
}

// SAFETY: locks are counted at the object, and any thread may end one. What goes along is a shared reference to the
// value, which is `Send` when the value is `Sync`.
unsafe impl<T: ?Sized + Sync> Send for Locked<'_, T> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Sync> Sync for Locked<'_, T> {}

impl<'a, T: ?Sized> Locked<'a, T> {
    /// # Safety
    /// The object of `bits` holds `value`, is locked once for this guard, and not borrowed mutably for `'a`.
    pub(crate) unsafe fn new(bits: u64, value: NonNull<T>) -> Self {
        Locked { value, bits, _borrows: PhantomData }
    }

    /// The address, which holds for as long as the guard.
    pub fn as_ptr(this: &Self) -> *const T {
        this.value.as_ptr()
    }
}

impl<T: ?Sized> Deref for Locked<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: locked, live, and not borrowed mutably while the guard exists.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the guard has one lock, and the object lives for as long as the guard.
        unsafe { sys::tm_unlock(self.bits) }
    }
}

macro_rules! shown_as_the_value {
    ($($guard:ident)*) => {$(
        impl<T: ?Sized + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + fmt::Display> fmt::Display for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized> AsRef<T> for $guard<'_, T> {
            fn as_ref(&self) -> &T {
                self
            }
        }
    )*};
}

shown_as_the_value!(Pinned PinnedMut Locked);
