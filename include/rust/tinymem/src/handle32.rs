//! `Handle32`, an owner of 4 bytes.

use crate::error::{failed, AllocError};
use crate::handle::Handle;
use crate::name::Name;
use crate::pinned::{Locked, Pinned, PinnedMut};
use crate::raw::{allocate_ref, RawPin};
use crate::reference::Ref;
use crate::scope::Scope;
use crate::sys;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{align_of, needs_drop, size_of, ManuallyDrop};
use core::num::NonZeroU32;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;

/// A [`Handle`] of 4 bytes, for lists and trees of many small nodes. `Option<Handle32<T>>` is 4 bytes too.
///
/// It lacks the generation by which the library recognises a handle of a freed object. An owner needs none: the object
/// lives for as long as it does.
///
/// ```
/// use tinymem::Handle32;
/// struct Node { value: u32, next: Option<Handle32<Node>> }
/// assert_eq!(std::mem::size_of::<Node>(), 8);
///
/// let list = (0..3).fold(None, |next, value| Some(Handle32::new(Node { value, next }))).unwrap();
/// assert_eq!(list.pin().value, 2);
/// ```
pub struct Handle32<T> {
    index: NonZeroU32,
    _owns: PhantomData<T>,
}

// SAFETY: as for Handle: the only owner of its value, which comes along.
unsafe impl<T: Send> Send for Handle32<T> {}
// SAFETY: as for Handle: a shared handle gives shared references only.
unsafe impl<T: Sync> Sync for Handle32<T> {}

impl<T> Unpin for Handle32<T> {}
impl<T: UnwindSafe> UnwindSafe for Handle32<T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for Handle32<T> {}

impl<T> Handle32<T> {
    /// Moves the value into a new object.
    ///
    /// # Panics
    /// As [`Handle::new`].
    #[inline]
    pub fn new(value: T) -> Self {
        Handle32::try_new(value).unwrap_or_else(|why| failed(why))
    }

    /// As [`new`](Handle32::new), with an error in place of a panic; the value is dropped then.
    #[inline]
    pub fn try_new(value: T) -> Result<Self, AllocError> {
        let r = allocate_ref(align_of::<T>(), size_of::<T>())?;
        // SAFETY: the object is new: live, large enough and aligned, and only known here.
        unsafe {
            let (_pin, address) = RawPin::of_ref(r);
            address.as_ptr().cast::<T>().write(value);
            Ok(Handle32 { index: NonZeroU32::new_unchecked(r), _owns: PhantomData })
        }
    }

    /// As [`Handle::pin`].
    #[inline]
    pub fn pin(&self) -> Pinned<'_, T> {
        // SAFETY: the guard borrows the owner.
        unsafe { self.to_ref().pin() }
    }

    /// As [`Handle::pin_mut`].
    #[inline]
    pub fn pin_mut(&mut self) -> PinnedMut<'_, T> {
        // SAFETY: the guard borrows the owner mutably.
        unsafe { self.to_ref().pin_mut() }
    }

    /// As [`Handle::with`].
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        // SAFETY: as in Handle::with.
        unsafe {
            let (_pin, address) = RawPin::of_ref(self.index.get());
            f(address.cast().as_ref())
        }
    }

    /// As [`Handle::with_mut`].
    #[inline]
    pub fn with_mut<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: as in Handle::with_mut.
        unsafe {
            let (_pin, address) = RawPin::of_ref(self.index.get());
            f(address.cast().as_mut())
        }
    }

    /// As [`Handle::lock`].
    ///
    /// # Panics
    /// Without memory for the count.
    pub fn lock(&self) -> Locked<'_, T> {
        let bits = self.bits();
        // SAFETY: the guard borrows the owner, so the object is live until the lock ends.
        let address = unsafe { sys::tm_lock(bits) };
        match NonNull::new(address.cast()) {
            // SAFETY: locked, and the address of the value.
            Some(value) => unsafe { Locked::new(bits, value) },
            None => failed(AllocError::OutOfMemory),
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

    /// As [`Handle::name`].
    #[inline]
    pub fn name(&self) -> Name<T> {
        // SAFETY: the object is live, so its handle is not 0.
        unsafe { Name::from_bits(self.bits()).unwrap_unchecked() }
    }

    /// The handle as C knows it, a `tm_handle_t` with its generation.
    fn bits(&self) -> u64 {
        // SAFETY: tm_from_ref has no demands.
        unsafe { sys::tm_from_ref(self.index.get()) }
    }

    /// The value, for the rest of a scope.
    #[inline]
    pub fn get_in<'s>(&'s self, scope: &'s Scope) -> &'s T {
        // SAFETY: alive and not borrowed mutably for 's, since this is borrowed.
        unsafe { scope.get_ref(self.to_ref()) }
    }

    /// As [`get_in`](Handle32::get_in), for changes.
    #[inline]
    pub fn get_mut_in<'s>(&'s mut self, scope: &'s Scope) -> &'s mut T {
        // SAFETY: alive and borrowed by nobody else for 's, since this is borrowed mutably.
        unsafe { scope.get_ref_mut(self.to_ref()) }
    }

    /// Moves the value out and frees the object.
    pub fn into_inner(self) -> T {
        Handle::from(self).into_inner()
    }

    /// A copyable name of the object, which does not keep it alive.
    #[inline]
    pub fn to_ref(&self) -> Ref<T> {
        Ref::new(self.index)
    }
}

/// Frees an object when the frame is left. The value in it is not dropped.
struct FreeRefAtEnd(u32);

impl Drop for FreeRefAtEnd {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the code that makes one owns the object.
        unsafe { sys::tm_free_ref(self.0) }
    }
}

impl<T> Drop for Handle32<T> {
    #[inline]
    fn drop(&mut self) {
        let _free = FreeRefAtEnd(self.index.get()); // as in Handle's drop
        if needs_drop::<T>() {
            // SAFETY: as in Handle's drop.
            unsafe {
                let (_pin, address) = RawPin::of_ref(self.index.get());
                address.as_ptr().cast::<T>().drop_in_place();
            }
        }
    }
}

impl<T> From<Handle<T>> for Handle32<T> {
    #[inline]
    fn from(handle: Handle<T>) -> Self {
        Handle32 { index: ManuallyDrop::new(handle).to_ref().index(), _owns: PhantomData }
    }
}

impl<T> From<Handle32<T>> for Handle<T> {
    #[inline]
    fn from(handle: Handle32<T>) -> Self {
        // SAFETY: live, and given up by the owner, which is not dropped.
        unsafe { ManuallyDrop::new(handle).to_ref().into_handle() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Handle32<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| value.fmt(f))
    }
}

impl<T: Default> Default for Handle32<T> {
    fn default() -> Self {
        Handle32::new(T::default())
    }
}

impl<T: Clone> Clone for Handle32<T> {
    fn clone(&self) -> Self {
        self.with(|value| Handle32::new(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for Handle32<T> {
    fn eq(&self, other: &Self) -> bool {
        self.with(|a| other.with(|b| a == b))
    }
}
impl<T: Eq> Eq for Handle32<T> {}

// The size is what it is for.
const _: () = assert!(core::mem::size_of::<Option<Handle32<u64>>>() == 4);
