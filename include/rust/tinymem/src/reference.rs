//! `Ref`, a name of 4 bytes.

use crate::handle::Handle;
use crate::pinned::{Pinned, PinnedMut};
use crate::raw::RawPin;
use crate::sys;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::NonZeroU32;

/// Names an object in 4 bytes, for programs that store millions of links: graphs, lists, parents. `Option<Ref<T>>` is 4
/// bytes too. A reference is copied freely and does not keep its object alive.
///
/// It has no generation: when the object is freed, its name may become another object's. That is why following one is
/// unsafe. [`Handle32`](crate::Handle32) has the same size, owns its object, and is safe.
///
/// ```
/// use tinymem::{Handle, Ref};
/// struct Node { next: Option<Ref<Node>>, value: u32 }
///
/// let b = Handle::new(Node { next: None, value: 2 });
/// let a = Handle::new(Node { next: Some(b.to_ref()), value: 1 });
/// // SAFETY: b is alive, and nobody has a mutable reference to its value.
/// let next = unsafe { a.pin().next.unwrap().pin() };
/// assert_eq!(a.pin().value + next.value, 3);
/// ```
pub struct Ref<T> {
    index: NonZeroU32,
    /// Invariant: a value may be replaced through a reference.
    _names: PhantomData<*mut T>,
}

// SAFETY: a reference is a number. To follow it is unsafe, and the caller then answers for the thread on which it is
// done.
unsafe impl<T> Send for Ref<T> {}
// SAFETY: the same.
unsafe impl<T> Sync for Ref<T> {}

impl<T> Ref<T> {
    #[inline]
    pub(crate) fn new(index: NonZeroU32) -> Self {
        Ref { index, _names: PhantomData }
    }

    #[inline]
    pub(crate) fn index(self) -> NonZeroU32 {
        self.index
    }

    /// Pins the object.
    ///
    /// # Safety
    /// The object that the reference was made from is alive and stays so for `'a`, and its value is borrowed mutably by
    /// nobody for `'a`. The thread may have a `&T` of it: it is the owner's thread, or `T` is `Sync` and whatever
    /// handed the reference over has ordered the threads (a channel, a lock, a release that was acquired).
    #[inline]
    pub unsafe fn pin<'a>(self) -> Pinned<'a, T> {
        let (pin, address) = RawPin::of_ref(self.to_bits());
        Pinned::new(pin, address.cast())
    }

    /// As [`pin`](Ref::pin), for changes.
    ///
    /// # Safety
    /// The object that the reference was made from is alive and stays so for `'a`, and its value is borrowed by nobody
    /// else for `'a`. The thread may have a `&mut T` of it: it is the owner's thread, or `T` is `Send` and whatever
    /// handed the reference over has ordered the threads.
    #[inline]
    pub unsafe fn pin_mut<'a>(self) -> PinnedMut<'a, T> {
        let (pin, address) = RawPin::of_ref(self.to_bits());
        PinnedMut::new(pin, address.cast())
    }

    /// Whether the handle's object is the one that the reference names.
    #[inline]
    pub fn names(self, handle: &Handle<T>) -> bool {
        self == handle.to_ref()
    }

    /// Takes ownership of the object, where it was given up: by [`Handle::into_bits`] or `mem::forget`.
    ///
    /// # Safety
    /// The object that the reference was made from is alive, and nobody owns it.
    pub unsafe fn into_handle(self) -> Handle<T> {
        Handle::from_bits(sys::tm_from_ref(self.to_bits()))
    }

    /// The reference as C knows it, a `tm_ref_t`.
    #[inline]
    pub fn to_bits(self) -> u32 {
        self.index.get()
    }

    /// A reference from C; `None` for 0. To follow it is unsafe as ever.
    #[inline]
    pub fn from_bits(bits: u32) -> Option<Ref<T>> {
        NonZeroU32::new(bits).map(Ref::new)
    }
}

// By hand: derived ones would ask the same of T.
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}
impl<T> Eq for Ref<T> {}
impl<T> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.index.cmp(&other.index)
    }
}
impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state)
    }
}
impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({:#x})", self.index)
    }
}
