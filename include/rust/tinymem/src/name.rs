//! `Name`, a name of 8 bytes that knows whether its object is still alive.

use crate::handle::Handle;
use crate::pinned::{Pinned, PinnedMut};
use crate::raw::RawPin;
use crate::reference::Ref;
use crate::sys;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::num::NonZeroU64;
use core::ptr::{self, NonNull};

/// Names an object without owning it, and notices when the object has been freed. 8 bytes, also as an `Option`; copied
/// freely. For caches, observers and snapshots.
///
/// It has the generation that [`Ref`] lacks: the name of a freed object names nothing, even if its place has a new
/// object. (Generations are used again only after at least 10⁹ objects of a process.) To follow a name is nevertheless
/// unsafe: the owner may free or change the object *while* it is pinned through the name.
///
/// ```
/// use tinymem::Handle;
/// let handle = Handle::new(String::from("here"));
/// let name = handle.name();
/// // SAFETY: `handle` is not dropped and not borrowed mutably before `pin` ends.
/// if let Some(pin) = unsafe { name.try_pin() } {
///     assert_eq!(*pin, "here");
/// }
/// drop(handle);
/// assert!(!name.is_live());
/// // SAFETY: nobody has the object any more.
/// assert!(unsafe { name.try_pin() }.is_none());
/// ```
pub struct Name<T> {
    bits: NonZeroU64,
    /// Invariant: a value may be replaced through a name.
    _names: PhantomData<*mut T>,
}

// SAFETY: a name is a number. To follow it is unsafe, and the caller then answers for the thread on which it is done.
unsafe impl<T> Send for Name<T> {}
// SAFETY: the same.
unsafe impl<T> Sync for Name<T> {}

impl<T> Name<T> {
    /// The name of the object that begins at `value`, which is pinned, locked or looked up: a method can name its own
    /// object. `None` if no object of the movable heap begins there.
    ///
    /// ```
    /// use tinymem::{Handle, Name};
    /// let handle = Handle::new(7);
    /// assert_eq!(handle.with(|value| Name::of(value)), Some(handle.name()));
    /// assert_eq!(Name::of(&7), None);
    /// ```
    pub fn of(value: &T) -> Option<Name<T>> {
        // SAFETY: tm_handle_of takes any address.
        Name::from_bits(unsafe { sys::tm_handle_of((value as *const T).cast()) })
    }

    /// Pins the object if it is alive. `None`: it has been freed, or there is no memory to note the pin.
    ///
    /// # Safety
    /// The name is of an object that holds a `T`. If the object is alive, it stays so for `'a`, and its value is
    /// borrowed mutably by nobody for `'a`. The thread may have a `&T` of it: it is the owner's thread, or `T` is `Sync`
    /// and the owner has handed the name over by something that orders the threads (a channel, a lock, a release that
    /// was acquired).
    #[inline]
    pub unsafe fn try_pin<'a>(self) -> Option<Pinned<'a, T>> {
        RawPin::try_new(self.to_bits()).map(|(pin, address)| Pinned::new(pin, address.cast()))
    }

    /// As [`try_pin`](Name::try_pin), for changes.
    ///
    /// # Safety
    /// The name is of an object that holds a `T`. If the object is alive, it stays so for `'a`, and its value is
    /// borrowed by nobody else for `'a`. The thread may have a `&mut T` of it: it is the owner's thread, or `T` is `Send`
    /// and the owner has handed the name over by something that orders the threads.
    #[inline]
    pub unsafe fn try_pin_mut<'a>(self) -> Option<PinnedMut<'a, T>> {
        RawPin::try_new(self.to_bits()).map(|(pin, address)| PinnedMut::new(pin, address.cast()))
    }

    /// As [`try_pin`](Name::try_pin), for the bytes of the object, all that are usable: whatever type it holds, and
    /// whatever its length. For snapshots.
    ///
    /// # Safety
    /// The name is of an object. If the object is alive, it stays so for `'a`, and no thread writes to it during `'a`.
    /// What was written before was written on this thread, or something has ordered the threads.
    pub unsafe fn try_pin_bytes<'a>(self) -> Option<Pinned<'a, [MaybeUninit<u8>]>> {
        let (pin, address) = RawPin::try_new(self.to_bits())?;
        let bytes = ptr::slice_from_raw_parts_mut(address.as_ptr().cast(), sys::tm_sizeof(self.to_bits()));
        Some(Pinned::new(pin, NonNull::new_unchecked(bytes)))
    }

    /// Whether the object is alive. Another thread may free it at any moment.
    #[inline]
    pub fn is_live(self) -> bool {
        // SAFETY: tm_valid takes any number.
        unsafe { sys::tm_valid(self.to_bits()) }
    }

    /// Whether the object is alive and its usable size is that of an object of `size` bytes: a cheap check of the type.
    pub fn is_live_of_size(self, size: usize) -> bool {
        // SAFETY: tm_check takes any number.
        unsafe { sys::tm_check(self.to_bits(), size) }
    }

    /// Whether the handle's object is the one that the name names.
    #[inline]
    pub fn names(self, handle: &Handle<T>) -> bool {
        self == handle.name()
    }

    /// The same object, by a name that says it holds a `U`. Whether it does matters when the name is followed.
    #[inline]
    pub fn cast<U>(self) -> Name<U> {
        Name { bits: self.bits, _names: PhantomData }
    }

    /// The name of 4 bytes, which lacks the generation.
    #[inline]
    pub fn to_ref(self) -> Option<Ref<T>> {
        // SAFETY: tm_ref takes any number.
        Ref::from_bits(unsafe { sys::tm_ref(self.to_bits()) })
    }

    /// The handle as C knows it, a `tm_handle_t`.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.bits.get()
    }

    /// A name from C; `None` for `TM_NULL`. To follow it is unsafe as ever.
    #[inline]
    pub fn from_bits(bits: u64) -> Option<Name<T>> {
        NonZeroU64::new(bits).map(|bits| Name { bits, _names: PhantomData })
    }
}

impl<T> Ref<T> {
    /// The name of 8 bytes of the object that the reference names *now*. `None` if there is none.
    #[inline]
    pub fn name(self) -> Option<Name<T>> {
        // SAFETY: tm_from_ref takes any number.
        Name::from_bits(unsafe { sys::tm_from_ref(self.to_bits()) })
    }
}

/// How many pins the calling thread holds: [`Pinned`] and [`PinnedMut`] that were not dropped, and calls of
/// [`Handle::with`] that have not returned.
pub fn held_pins() -> u32 {
    // SAFETY: no demands.
    unsafe { sys::tm_pin_mark() }
}

// By hand: derived ones would ask the same of T.
impl<T> Clone for Name<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Name<T> {}
impl<T> PartialEq for Name<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<T> Eq for Name<T> {}
impl<T> PartialOrd for Name<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Name<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}
impl<T> Hash for Name<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state)
    }
}
impl<T> fmt::Debug for Name<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:#x})", self.bits)
    }
}
