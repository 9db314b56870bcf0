//! No thread ends while one of its pins protects a reference.
//!
//! Rust lets safe code forget a [`Pinned`](crate::Pinned), or leak it. The object then stays pinned and references to
//! it stay good, also on other threads, until the thread that pinned it ends: the library takes that as the end of the
//! pin. So each thread that makes such a guard registers `check`, which runs when the thread ends and ends the process
//! if a pin is left. Where that cannot be done, guards lock their objects, since locks last. Scopes and closures need
//! none of this: they cannot be forgotten.
//!
//! The first thread of a program ends with the process and is not checked.

use crate::sys;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The thread-specific value that says whether the thread is registered.
static KEY: AtomicU32 = AtomicU32::new(NO_KEY);
const NO_KEY: u32 = u32::MAX;

type AtExit = unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> i32;

/// Null in a program that is optimized as a whole and has no shared libraries: std names the function weakly, so that
/// the linker does not look for it in libc's archive.
static AT_EXIT: AtExit = sys::__cxa_thread_atexit_impl;

/// Whether the end of the calling thread is watched.
#[inline]
pub(crate) fn watch() -> bool {
    // Acquire: the key exists; pairs with make_key.
    let key = KEY.load(Ordering::Acquire);
    // SAFETY: the key was made by make_key and is never deleted.
    (key != NO_KEY && !unsafe { sys::pthread_getspecific(key) }.is_null()) || register()
}

#[cold]
fn register() -> bool {
    // SAFETY: a function's address is as large as a pointer. Volatile, since the compiler takes it for never null.
    if unsafe { ptr::read_volatile(ptr::addr_of!(AT_EXIT).cast::<usize>()) } == 0 {
        return false;
    }
    let key = match make_key() {
        Some(key) => key,
        None => return false,
    };
    let this = ptr::addr_of!(KEY) as *mut c_void;
    // SAFETY: `check` may be called with any argument; the value is only compared with null.
    unsafe {
        if sys::pthread_setspecific(key, this) != 0 {
            return false;
        }
        if AT_EXIT(check, this, ptr::addr_of!(sys::__dso_handle) as *mut c_void) != 0 {
            sys::pthread_setspecific(key, ptr::null());
            return false;
        }
    }
    true
}

/// The key, made at the first call. `None`: there are no more.
fn make_key() -> Option<u32> {
    let known = KEY.load(Ordering::Acquire); // as in watch
    if known != NO_KEY {
        return Some(known);
    }
    let mut key = 0;
    // SAFETY: the pointer is good for a write.
    if unsafe { sys::pthread_key_create(&mut key, None) } != 0 {
        return None;
    }
    // Release: the key exists. Acquire: so does the other thread's.
    match KEY.compare_exchange(NO_KEY, key, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(other) => {
            // SAFETY: nobody else has seen this key.
            unsafe { sys::pthread_key_delete(key) };
            Some(other)
        }
    }
}

/// Runs before the library forgets the thread. A value with a destructor that comes later may pin again: then the
/// thread registers again.
unsafe extern "C" fn check(_: *mut c_void) {
    const WHY: &[u8] = b"tinymem: a thread ended with a Pinned or PinnedMut that was not dropped\n";
    sys::pthread_setspecific(KEY.load(Ordering::Acquire), ptr::null());
    if sys::tm_pin_mark() != 0 && sys::gettid() != sys::getpid() {
        sys::write(2, WHY.as_ptr().cast(), WHY.len());
        sys::abort()
    }
}
