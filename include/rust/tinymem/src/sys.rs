//! The C functions that the crate calls. What they promise and demand is in the headers `<tinymem/...>`. The test
//! `tests/rust` holds this file to them: a function of theirs is here, or it is listed there with a reason.

#[cfg(feature = "std")]
use crate::mover::Batch;
use crate::stats::{HeapStats, Stats};
use core::ffi::c_void;

#[allow(non_camel_case_types)]
pub type c_int = i32;
#[allow(non_camel_case_types)]
pub type c_uint = u32;
#[allow(non_camel_case_types)]
pub type c_char = i8;

/// The visitor of `tm_each`.
pub type Visit = unsafe extern "C" fn(h: u64, context: *mut c_void) -> bool;
/// The function that `tm_mover_on_batch` takes.
#[cfg(feature = "std")]
pub type BatchCall = unsafe extern "C" fn(batch: *const Batch, context: *mut c_void);

pub const TM_NULL: u64 = 0;
pub const TM_MOVER_KEEP: c_int = -1;
pub const TM_MOVER_BACKGROUND: c_int = 0;
pub const TM_MOVER_MANUAL: c_int = 1;
pub const TM_MOVER_OFF: c_int = 2;
pub const TM_UNKNOWN: usize = usize::MAX;
pub const TM_CLASS_SMALL: usize = 0;
pub const TM_CLASS_MEDIUM: usize = 1;
pub const TM_CLASS_LARGE: usize = 2;
pub const TM_CLASS_MIXED: usize = 3;
pub const TM_HEAP_RAW: usize = 0;
pub const TM_HEAP_MOVABLE: usize = 1;
pub const TM_HEAP_CLASSES_MAX: usize = 320;

// <tinymem/tinymem.h>
extern "C" {
    pub fn tm_version() -> *const c_char;
    pub fn tm_alloc(size: usize) -> u64;
    pub fn tm_calloc(n: usize, size: usize) -> u64;
    pub fn tm_alloc_aligned(align: usize, size: usize) -> u64;
    pub fn tm_calloc_aligned(align: usize, n: usize, size: usize) -> u64;
    pub fn tm_alloc_near(near: u64, size: usize) -> u64;
    pub fn tm_realloc(h: u64, size: usize) -> u64;
    pub fn tm_free(h: u64);
    pub fn tm_lock(h: u64) -> *mut c_void;
    pub fn tm_unlock(h: u64);
    pub fn tm_sizeof(h: u64) -> usize;
    pub fn tm_valid(h: u64) -> bool;
    pub fn tm_check(h: u64, size: usize) -> bool;
    pub fn tm_each(visit: Visit, context: *mut c_void) -> usize;
    pub fn tm_handle_of(pinned: *const c_void) -> u64;
    pub fn tm_ref(h: u64) -> u32;
    pub fn tm_from_ref(r: u32) -> u64;
    pub fn tm_alloc_ref(size: usize) -> u32;
    pub fn tm_free_ref(r: u32);
    pub fn tm_pin_mark() -> c_uint;
    pub fn tm_scope_mark() -> c_uint;
    pub fn tm_compact() -> usize;
    pub fn tm_compact_step(budget_us: c_uint) -> bool;
    pub fn tm_mover_set(mode: c_int, share: c_int, target: c_int) -> bool;
    pub fn tm_mover_pause();
    pub fn tm_mover_resume();
    #[cfg(feature = "std")]
    pub fn tm_mover_on_batch(call: Option<BatchCall>, context: *mut c_void);
    pub fn tm_idle();
    pub fn tm_stats(out: *mut Stats);
}

// <tinymem/pin.h>
extern "C" {
    pub fn tm_pin(h: u64) -> *mut c_void;
    pub fn tm_try_pin(h: u64) -> *mut c_void;
    pub fn tm_unpin(h: u64);
    pub fn tm_scope_enter();
    pub fn tm_scope_exit();
    pub fn tm_deref(h: u64) -> *mut c_void;
    pub fn tm_pin_ref(r: u32) -> *mut c_void;
    pub fn tm_unpin_ref(r: u32);
    pub fn tm_deref_ref(r: u32) -> *mut c_void;
}

// <tinymem/heap.h>
extern "C" {
    pub fn tm_heap_stats(out: *mut HeapStats);
    pub fn tm_stats_json(buf: *mut u8, size: usize) -> usize;
    pub fn tm_stats_prometheus(buf: *mut u8, size: usize) -> usize;
}

// <tinymem/options.h>
extern "C" {
    pub fn tm_option_get(name: *const c_char, value: *mut u8, size: usize) -> bool;
    pub fn tm_option_set(name: *const c_char, value: *const c_char) -> bool;
}

// <tinymem/profile.h>
#[cfg(feature = "std")]
extern "C" {
    pub fn tm_profile_start(interval: usize) -> c_int;
    pub fn tm_profile_stop();
    pub fn tm_profile_dump(path: *const c_char) -> c_int;
}
#[cfg(feature = "malloc")]
extern "C" {
    pub fn tm_should_move(p: *const c_void) -> bool;
}

/// The error of the call just made, for functions that set it.
pub fn errno() -> c_int {
    // SAFETY: the C library's; the address is the thread's own, and valid.
    unsafe { *__errno_location() }
}

// Of the C library.
extern "C" {
    pub fn pthread_key_create(key: *mut c_uint, destructor: Option<unsafe extern "C" fn(*mut c_void)>) -> c_int;
    pub fn pthread_key_delete(key: c_uint) -> c_int;
    pub fn pthread_getspecific(key: c_uint) -> *mut c_void;
    pub fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int;
    pub fn __cxa_thread_atexit_impl(f: unsafe extern "C" fn(*mut c_void), of: *mut c_void, dso: *mut c_void) -> c_int;
    pub static __dso_handle: u8;
    pub fn getpid() -> c_int;
    pub fn gettid() -> c_int;
    pub fn write(fd: c_int, text: *const c_void, size: usize) -> isize;
    pub fn abort() -> !;
    fn __errno_location() -> *mut c_int;
}

#[cfg(feature = "malloc")]
extern "C" {
    pub fn malloc(size: usize) -> *mut c_void;
    pub fn calloc(n: usize, size: usize) -> *mut c_void;
    pub fn realloc(p: *mut c_void, size: usize) -> *mut c_void;
    pub fn free(p: *mut c_void);
    pub fn memalign(align: usize, size: usize) -> *mut c_void;
    pub fn malloc_trim(keep: usize) -> c_int;
}
