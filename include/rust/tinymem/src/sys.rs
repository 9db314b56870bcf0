//! The C functions that the crate calls. What they promise and demand is in `<tinymem/tinymem.h>` and
//! `<tinymem/heap.h>`.

use crate::stats::{HeapStats, Stats};
use core::ffi::c_void;

#[allow(non_camel_case_types)]
pub type c_int = i32;
#[allow(non_camel_case_types)]
pub type c_uint = u32;
#[allow(non_camel_case_types)]
pub type c_char = i8;

extern "C" {
    pub fn tm_version() -> *const c_char;
    pub fn tm_alloc(size: usize) -> u64;
    pub fn tm_alloc_aligned(align: usize, size: usize) -> u64;
    pub fn tm_realloc(h: u64, size: usize) -> u64;
    pub fn tm_free(h: u64);
    pub fn tm_pin(h: u64) -> *mut c_void;
    pub fn tm_unpin(h: u64);
    pub fn tm_pin_mark() -> c_uint;
    pub fn tm_scope_enter();
    pub fn tm_scope_exit();
    pub fn tm_deref(h: u64) -> *mut c_void;
    pub fn tm_lock(h: u64) -> *mut c_void;
    pub fn tm_unlock(h: u64);
    pub fn tm_sizeof(h: u64) -> usize;
    pub fn tm_ref(h: u64) -> u32;
    pub fn tm_from_ref(r: u32) -> u64;
    pub fn tm_pin_ref(r: u32) -> *mut c_void;
    pub fn tm_unpin_ref(r: u32);
    pub fn tm_free_ref(r: u32);
    pub fn tm_deref_ref(r: u32) -> *mut c_void;
    pub fn tm_compact() -> usize;
    pub fn tm_compact_step(budget_us: c_uint) -> bool;
    pub fn tm_idle();
    pub fn tm_stats(out: *mut Stats);
    pub fn tm_heap_stats(out: *mut HeapStats);
    pub fn tm_stats_json(buf: *mut u8, size: usize) -> usize;
    pub fn tm_stats_prometheus(buf: *mut u8, size: usize) -> usize;
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
