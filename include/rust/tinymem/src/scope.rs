//! Scopes: everything that is looked up in one stays in place until its end.

use crate::handle::Handle;
use crate::reference::Ref;
use crate::sys;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// An open scope, in the closure that [`scope()`] calls. To look up an object costs one load of a word; nothing is
/// pinned.
///
/// Neither `Send` nor `Sync`: the library keeps in place what the thread that has opened the scope looks up. References
/// from it may go to other threads, as long as they end with the scope.
pub struct Scope {
    _thread: PhantomData<*mut ()>,
}

/// Ends the scope when the frame is left, by a panic too.
struct ExitAtEnd;

impl Drop for ExitAtEnd {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: made after tm_scope_enter, in the same frame.
        unsafe { sys::tm_scope_exit() }
    }
}

/// Opens a scope and calls `f`. References that it takes from the scope cannot leave it. Scopes nest, and should be
/// short: while one is open the library's moves wait (threads never do).
///
/// ```
/// use tinymem::Handle;
/// let handles: Vec<Handle<u64>> = (0..100).map(Handle::new).collect();
/// let sum: u64 = tinymem::scope(|s| handles.iter().map(|h| s.get(h)).sum());
/// assert_eq!(sum, 4950);
/// ```
///
/// ```compile_fail
/// let number = tinymem::Handle::new(1);
/// let kept: &i32 = tinymem::scope(|s| s.get(&number));   // it would leave the scope
/// println!("{}", kept);
/// ```
#[inline]
pub fn scope<R>(f: impl FnOnce(&Scope) -> R) -> R {
    // SAFETY: the exit is by this thread, since a call does not change threads.
    unsafe { sys::tm_scope_enter() };
    let _exit = ExitAtEnd;
    f(&Scope { _thread: PhantomData })
}

/// How many scopes are open on the calling thread. For programs that make sure that none is before they wait.
///
/// ```
/// assert_eq!(tinymem::open_scopes(), 0);
/// assert_eq!(tinymem::scope(|_| tinymem::open_scopes()), 1);
/// ```
pub fn open_scopes() -> u32 {
    // SAFETY: no demands.
    unsafe { sys::tm_scope_mark() }
}

impl Scope {
    /// The object's value, for the rest of the scope.
    #[inline]
    pub fn get<'s, T: ?Sized>(&'s self, handle: &'s Handle<T>) -> &'s T {
        // SAFETY: the handle is live and not borrowed mutably for 's; the object does not move before the scope ends,
        // which is after 's, since 's is part of the call of the closure.
        unsafe { handle.at(address(handle.bits())).as_ref() }
    }

    /// As [`get`](Scope::get), for changes.
    #[inline]
    pub fn get_mut<'s, T: ?Sized>(&'s self, handle: &'s mut Handle<T>) -> &'s mut T {
        // SAFETY: as in `get`, and the handle is borrowed mutably, so there is no other reference.
        unsafe { handle.at(address(handle.bits())).as_mut() }
    }

    /// The value that a reference names, for the rest of the scope.
    ///
    /// # Safety
    /// As for [`Ref::pin`].
    #[inline]
    pub unsafe fn get_ref<T>(&self, r: Ref<T>) -> &T {
        &*sys::tm_deref_ref(r.to_bits()).cast::<T>()
    }

    /// As [`get_ref`](Scope::get_ref), for changes.
    ///
    /// # Safety
    /// As for [`Ref::pin_mut`].
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn get_ref_mut<T>(&self, r: Ref<T>) -> &mut T {
        &mut *sys::tm_deref_ref(r.to_bits()).cast::<T>()
    }
}

/// # Safety
/// The handle is live, and a scope of this thread is open.
#[inline]
unsafe fn address(bits: u64) -> NonNull<u8> {
    NonNull::new_unchecked(sys::tm_deref(bits).cast())
}
