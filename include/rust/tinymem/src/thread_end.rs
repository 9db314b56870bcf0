//! No thread ends while one of its pins protects a reference.
//!
//! Rust lets safe code forget a [`Pinned`](crate::Pinned), or leak it. The object then stays pinned and references to
//! it stay good, also on other threads, until the thread that pinned it ends: the library takes that as the end of the
//! pin. So each thread that makes such a guard registers `check`, which runs when the thread ends and ends the process
//! if a pin is left. Scopes and closures need none of this: they cannot be forgotten.
//!
//! The first thread of a program ends with the process and is not checked.

use crate::sys;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The thread-specific value that says whether the thread is registered.
static KEY: AtomicU32 = AtomicU32::new(NO_KEY);
const NO_KEY: u32 = u32::MAX;

#[inline]
pub(crate) fn watch() {
    // Acquire: the key exists; pairs with make_key.
    let key = KEY.load(Ordering::Acquire);
    // SAFETY: the key was made by make_key and is never deleted.
    if key == NO_KEY || unsafe { sys::pthread_getspecific(key) }.is_null() {
        register();
    }
}

#[cold]
fn register() {
    let key = make_key();
    let this = ptr::addr_of!(KEY) as *mut c_void;
    // SAFETY: `check` may be called with any argument; the value is only compared with null.
    let registered = unsafe {
        sys::__cxa_thread_atexit_impl(check, this, ptr::addr_of!(sys::__dso_handle) as *mut c_void) == 0
            && sys::pthread_setspecific(key, this) == 0
    };
    if !registered {
        die(b"tinymem: no memory to register the end of a thread\n");
    }
}

fn make_key() -> u32 {
    let known = KEY.load(Ordering::Acquire); // as in watch
    if known != NO_KEY {
        return known;
    }
    let mut key = 0;
    // SAFETY: the pointer is good for a write.
    if unsafe { sys::pthread_key_create(&mut key, None) } != 0 {
        die(b"tinymem: there is no thread-specific key left\n");
    }
    // Release: the key exists. Acquire: so does the other thread's.
    match KEY.compare_exchange(NO_KEY, key, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => key,
        Err(other) => {
            // SAFETY: nobody else has seen this key.
            unsafe { sys::pthread_key_delete(key) };
            other
        }
    }
}

/// Runs before the library forgets the thread. A value with a destructor that comes later may pin again: then the
/// thread registers again.
unsafe extern "C" fn check(_: *mut c_void) {
    sys::pthread_setspecific(KEY.load(Ordering::Acquire), ptr::null());
    if sys::tm_pin_mark() != 0 && sys::gettid() != sys::getpid() {
        die(b"tinymem: a thread ended with a Pinned or PinnedMut that was not dropped\n");
    }
}

fn die(why: &[u8]) -> ! {
    // SAFETY: the bytes are there.
    unsafe {
        sys::write(2, why.as_ptr().cast(), why.len());
        sys::abort()
    }
}
