//! The mover: the library's thread that moves objects, and what it may do.

use crate::handle::Handle;
use crate::sys;
use core::fmt;
use core::ptr::NonNull;

/// What moves objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A thread of the library, when there is enough to gain. What a program starts with.
    Background,
    /// Only [`compact`](crate::compact()) and [`compact_step`](crate::compact_step).
    Manual,
    /// Nothing.
    Off,
}

/// What the mover may do; from [`settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What moves objects.
    pub mode: Mode,
    /// Of one processor that the library's thread may take, per cent.
    pub share: u32,
    /// Waste that a quiet program is left with, per cent of live bytes.
    pub target: u32,
    /// How many pauses there are now.
    pub pauses: usize,
}

/// The error of [`set`]: a share that is not from 1 to 100, or a target above 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tinymem: the mover's share is from 1 to 100 per cent, its target at most 1000 per cent")
    }
}

#[cfg(feature = "std")]
impl std::error::Error for OutOfRange {}

/// Says what the mover does from now on: what moves objects; the share of one processor that its thread may take, 1 to
/// 100 per cent; and the waste that a quiet program is left with, 0 to 1000 per cent of live bytes. `None` leaves it as
/// it is. When the function returns, no move is under way that the new mode forbids.
///
/// ```
/// use tinymem::mover::{self, Mode};
/// mover::set(Some(Mode::Manual), Some(50), None)?;
/// assert_eq!(mover::settings().mode, Mode::Manual);
/// # Ok::<(), mover::OutOfRange>(())
/// ```
///
/// # Errors
/// A value is out of range. Nothing is changed then.
pub fn set(mode: Option<Mode>, share: Option<u32>, target: Option<u32>) -> Result<(), OutOfRange> {
    let mode = match mode {
        None => sys::TM_MOVER_KEEP,
        Some(Mode::Background) => sys::TM_MOVER_BACKGROUND,
        Some(Mode::Manual) => sys::TM_MOVER_MANUAL,
        Some(Mode::Off) => sys::TM_MOVER_OFF,
    };
    // A number that is too large for C is out of range there, too.
    let number = |n: Option<u32>| n.map_or(sys::TM_MOVER_KEEP, |n| i32::try_from(n).unwrap_or(i32::MAX));
    // SAFETY: tm_mover_set takes any numbers.
    if unsafe { sys::tm_mover_set(mode, number(share), number(target)) } {
        Ok(())
    } else {
        Err(OutOfRange)
    }
}

/// What the mover may do now.
pub fn settings() -> Settings {
    let now = crate::stats();
    let mode = match now.mover_mode as i32 {
        sys::TM_MOVER_BACKGROUND => Mode::Background,
        sys::TM_MOVER_MANUAL => Mode::Manual,
        _ => Mode::Off,
    };
    Settings { mode, share: now.mover_share as u32, target: now.mover_target as u32, pauses: now.mover_paused }
}

/// A pause of the mover, from [`pause`]. It ends when the guard is dropped.
#[derive(Debug)]
#[must_use = "the pause ends when this is dropped"]
pub struct Paused {
    _private: (),
}

// `Paused` is `Send` and `Sync` by itself: pauses are counted for the whole process, so any thread may end one, and a
// shared guard gives what any thread may use.

/// Pauses the mover. Nothing moves until the guard is dropped, in every mode: [`compact`](crate::compact()) moves nothing
/// meanwhile, and a lock leaves its object in place. Pauses nest, and hold for all threads.
///
/// ```
/// use tinymem::{mover, Handle};
/// let names: Vec<Handle<str>> = ["b", "a"].map(Handle::from).into();
/// let paused = mover::pause();
/// let mut sorted: Vec<&str> = names.iter().map(|name| paused.get(name)).collect();
/// sorted.sort();
/// assert_eq!(sorted, ["a", "b"]);
/// ```
///
/// ```compile_fail,E0505
/// let name = tinymem::Handle::new(1);
/// let paused = tinymem::mover::pause();
/// let number = paused.get(&name);
/// drop(paused); // it may move again
/// println!("{}", number);
/// ```
pub fn pause() -> Paused {
    // SAFETY: the guard ends it.
    unsafe { sys::tm_mover_pause() };
    Paused { _private: () }
}

impl Paused {
    /// The object's value, for the rest of the pause. In place of a pin, for as many objects as there are; the
    /// reference may go to other threads.
    pub fn get<'p, T: ?Sized>(&'p self, handle: &'p Handle<T>) -> &'p T {
        // SAFETY: the handle is live and not borrowed mutably for 'p. The object does not move before this guard is
        // dropped, which is after 'p.
        unsafe { handle.at(address(handle.bits())).as_ref() }
    }

    /// As [`get`](Paused::get), for changes.
    pub fn get_mut<'p, T: ?Sized>(&'p self, handle: &'p mut Handle<T>) -> &'p mut T {
        // SAFETY: as in `get`, and the handle is borrowed mutably, so there is no other reference.
        unsafe { handle.at(address(handle.bits())).as_mut() }
    }
}

/// # Safety
/// The handle is live, and the mover is paused.
unsafe fn address(bits: u64) -> NonNull<u8> {
    // tm_deref is called in a scope, as libraries with checks demand; the pause makes the address last.
    sys::tm_scope_enter();
    let address = sys::tm_deref(bits);
    sys::tm_scope_exit();
    NonNull::new_unchecked(address.cast())
}

impl Drop for Paused {
    fn drop(&mut self) {
        // SAFETY: the guard has one pause. No reference from it is left.
        unsafe { sys::tm_mover_resume() }
    }
}

/// What happened since the last call of the function that [`set_batch_hook`] has set.
#[cfg(feature = "std")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    struct_size: usize,
    /// Count of batches of moves.
    pub batches: usize,
    /// Count: of these, dropped because a scope stayed open, or of fork.
    pub dropped_batches: usize,
    /// Count of objects moved.
    pub moved_objects: usize,
    /// Bytes moved.
    pub moved_bytes: usize,
    /// Count of moves that were dropped: pinned, locked, freed or resized meanwhile.
    pub aborted_moves: usize,
    /// Nanoseconds spent moving.
    pub time_ns: u64,
}

#[cfg(feature = "std")]
pub use hook::{clear_batch_hook, set_batch_hook};

#[cfg(feature = "std")]
mod hook {
    //! The C library knows one function, `call`, which calls the closure in HOOK. HOOK's lock is held for a moment only,
    //! never while a closure runs or the C library is called: so a closure may set another one, and no thread waits for
    //! itself.

    use super::Batch;
    use crate::callback::guarded;
    use crate::sys;
    use core::ffi::c_void;
    use core::mem::size_of;
    use core::ptr;
    use std::sync::{Arc, Mutex};

    type Hook = Arc<dyn Fn(&Batch) + Send + Sync>;

    static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

    /// Calls `call` from now on after each batch of moves of the library's thread, on that thread, and after each
    /// [`compact`](crate::compact()) and [`compact_step`](crate::compact_step) that has ended a batch, on their thread.
    /// One thread at a time calls it. It must return soon, since the mover waits for it. It may call every function;
    /// moves that it causes itself are reported with the next call.
    ///
    /// The process has one such function. When `set_batch_hook` returns, the one that was set before no longer runs,
    /// unless that function is the caller.
    ///
    /// A call that panics ends there: std's panic hook reports it, and the mover goes on.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// static MOVED: AtomicUsize = AtomicUsize::new(0);
    /// tinymem::mover::set_batch_hook(|batch| {
    ///     MOVED.fetch_add(batch.moved_bytes, Relaxed);
    /// });
    /// ```
    pub fn set_batch_hook(call: impl Fn(&Batch) + Send + Sync + 'static) {
        exchange(Some(Arc::new(call)));
    }

    /// From now on no function is called after batches. When `clear_batch_hook` returns, the one that was set before no
    /// longer runs, unless that function is the caller.
    pub fn clear_batch_hook() {
        exchange(None);
    }

    fn exchange(new: Option<Hook>) {
        let old = core::mem::replace(&mut *HOOK.lock().unwrap_or_else(|e| e.into_inner()), new);
        // Also in place of NULL, since two threads may do this at a time. The C library waits until no call runs.
        // SAFETY: `call` takes any context, and does not unwind.
        unsafe { sys::tm_mover_on_batch(Some(call), ptr::null_mut()) };
        drop(old);
    }

    /// # Safety
    /// `batch` is a tm_batch_t.
    unsafe extern "C" fn call(batch: *const Batch, _: *mut c_void) {
        // Fields that the library does not know are 0.
        let (mut copy, theirs) = (Batch::default(), *batch.cast::<usize>());
        let size = theirs.min(size_of::<Batch>());
        ptr::copy_nonoverlapping(batch.cast::<u8>(), ptr::addr_of_mut!(copy).cast(), size);
        let called = guarded(|| {
            let hook = HOOK.lock().unwrap_or_else(|e| e.into_inner()).clone();
            if let Some(hook) = hook {
                hook(&copy);
            }
        });
        if let Err(payload) = called {
            // What a panic carries may panic when it is dropped.
            let _ = guarded(|| drop(payload)).map_err(core::mem::forget);
        }
    }
}
