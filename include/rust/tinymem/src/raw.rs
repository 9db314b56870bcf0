//! Handles as numbers, and what must be undone when a frame is left, by a panic too.

use crate::error::{failed, AllocError};
use crate::sys;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// The largest alignment that objects may have: 2 MiB.
pub const MAX_ALIGN: usize = 2 << 20;

/// What the library aligns every object to.
const EASY_ALIGN: usize = 16;

/// A new object, contents undefined.
pub(crate) fn allocate(align: usize, size: usize) -> Result<u64, AllocError> {
    if align > MAX_ALIGN {
        return Err(AllocError::Alignment);
    }
    // SAFETY: neither call has demands; align is a power of two.
    let bits = unsafe {
        if align <= EASY_ALIGN {
            sys::tm_alloc(size)
        } else {
            sys::tm_alloc_aligned(align, size)
        }
    };
    made(bits)
}

/// As `allocate`, near the object of a live handle, as far as its alignment allows.
pub(crate) fn allocate_near(align: usize, size: usize, near: u64) -> Result<u64, AllocError> {
    if align > EASY_ALIGN {
        return allocate(align, size);
    }
    // SAFETY: the handle is live.
    made(unsafe { sys::tm_alloc_near(near, size) })
}

/// A new object of `n * size` bytes, all zero.
pub(crate) fn allocate_zeroed(align: usize, n: usize, size: usize) -> Result<u64, AllocError> {
    if align > MAX_ALIGN {
        return Err(AllocError::Alignment);
    }
    // SAFETY: neither call has demands; align is a power of two.
    made(unsafe {
        if align <= EASY_ALIGN {
            sys::tm_calloc(n, size)
        } else {
            sys::tm_calloc_aligned(align, n, size)
        }
    })
}

/// A new object by reference, contents undefined.
pub(crate) fn allocate_ref(align: usize, size: usize) -> Result<u32, AllocError> {
    // SAFETY: neither call has demands.
    let r = unsafe {
        if align <= EASY_ALIGN {
            sys::tm_alloc_ref(size)
        } else {
            sys::tm_ref(allocate(align, size)?)
        }
    };
    if r == 0 {
        Err(AllocError::OutOfMemory)
    } else {
        Ok(r)
    }
}

fn made(bits: u64) -> Result<u64, AllocError> {
    if bits == sys::TM_NULL {
        Err(AllocError::OutOfMemory)
    } else {
        Ok(bits)
    }
}

/// A pin that ends with the frame. It must end on the thread that began it, so it is neither `Send` nor `Sync`.
pub(crate) struct RawPin {
    /// A handle, or a reference: then the upper half is 0, in which each handle has a bit set. With LOCKED added to a
    /// handle it is a lock in place of a pin.
    bits: u64,
    _thread: PhantomData<*mut ()>,
}

/// Not set in any handle.
const LOCKED: u64 = 1;

impl RawPin {
    /// # Safety
    /// The handle is live, and stays so until the pin ends.
    ///
    /// # Panics
    /// Without memory to note the pin: the thread's first one, or one of thousands at a time.
    #[inline]
    pub unsafe fn new(bits: u64) -> (RawPin, NonNull<u8>) {
        RawPin::begun(bits, sys::tm_pin(bits))
    }

    /// As `new`, by reference.
    ///
    /// # Safety
    /// The reference's object is live, and stays so until the pin ends.
    #[inline]
    pub unsafe fn of_ref(index: u32) -> (RawPin, NonNull<u8>) {
        RawPin::begun(u64::from(index), sys::tm_pin_ref(index))
    }

    /// As `new`, if the object is alive and there is memory to note the pin.
    ///
    /// # Safety
    /// The handle was live once. If it is, it stays so until the pin ends.
    #[inline]
    pub unsafe fn try_new(bits: u64) -> Option<(RawPin, NonNull<u8>)> {
        let address = NonNull::new(sys::tm_try_pin(bits).cast())?;
        Some((RawPin { bits, _thread: PhantomData }, address))
    }

    /// Locks the object in place of pinning it. A lock lasts when its thread ends.
    #[cold]
    pub fn into_lock(self) -> RawPin {
        let bits = if self.bits >> 32 != 0 {
            self.bits
        } else {
            // SAFETY: no demands; the object is live.
            unsafe { sys::tm_from_ref(self.bits as u32) }
        };
        // SAFETY: pinned, so live.
        if unsafe { sys::tm_lock(bits) }.is_null() {
            failed(AllocError::OutOfMemory);
        }
        RawPin { bits: bits | LOCKED, _thread: PhantomData } // and the pin ends
    }

    #[inline]
    fn begun(bits: u64, address: *mut c_void) -> (RawPin, NonNull<u8>) {
        match NonNull::new(address.cast()) {
            Some(address) => (RawPin { bits, _thread: PhantomData }, address),
            None => failed(AllocError::OutOfMemory), // and nothing is pinned
        }
    }
}

impl Drop for RawPin {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: pinned on this thread, or locked, when this was made.
        unsafe {
            if self.bits >> 32 == 0 {
                sys::tm_unpin_ref(self.bits as u32)
            } else if self.bits & LOCKED == 0 {
                sys::tm_unpin(self.bits)
            } else {
                sys::tm_unlock(self.bits - LOCKED)
            }
        }
    }
}

/// Frees an object when the frame is left. The value in it is not dropped.
pub(crate) struct FreeAtEnd(pub u64);

impl Drop for FreeAtEnd {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the code that makes one owns the object, and lets nobody else free it.
        unsafe { sys::tm_free(self.0) }
    }
}

/// `p` with another address; the length or the table of functions that it may carry stay.
#[inline]
pub(crate) fn with_address<T: ?Sized>(p: NonNull<T>, address: NonNull<u8>) -> NonNull<T> {
    let mut p = p.as_ptr();
    // SAFETY: a pointer begins with its address, whatever else it has. The address is not null.
    unsafe {
        *(&mut p as *mut *mut T).cast::<*mut u8>() = address.as_ptr();
        NonNull::new_unchecked(p)
    }
}
