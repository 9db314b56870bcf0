//! The global allocator: malloc and its family from libtinymem.

use crate::stats::HeapStats;
use crate::sys;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

/// The raw heap as Rust's global allocator.
///
/// ```
/// #[global_allocator]
/// static HEAP: tinymem::Tinymem = tinymem::Tinymem;
///
/// let words: Vec<String> = "one two three".split(' ').map(String::from).collect();
/// assert_eq!(words.len(), 3);
/// assert!(HEAP.stats().raw.live > 0);
/// ```
///
/// Blocks come from `malloc`, so that C code in the same program may free what Rust has allocated with it, and the
/// reverse. Linking this crate replaces `malloc` in the whole program; the attribute also serves programs that are
/// started with another allocator preloaded, and says in the source what is meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tinymem;

/// What `malloc` aligns blocks of at least that size to.
const MALLOC_ALIGN: usize = 16;

/// Whether `malloc` gives the alignment by itself. It may align a block that is smaller than 16 bytes to less.
fn plain(layout: Layout) -> bool {
    layout.align() <= MALLOC_ALIGN && layout.align() <= layout.size()
}

impl Tinymem {
    /// Gives empty pages back to the kernel, except for `keep` bytes. Returns whether there were any.
    pub fn trim(&self, keep: usize) -> bool {
        // SAFETY: malloc_trim has no demands.
        unsafe { sys::malloc_trim(keep) != 0 }
    }

    /// Whether moving a block could free a page: true if the block lies in a sparse place, and a copy of it would be put
    /// into a fuller one. For programs that keep their data in boxes and make copies of them when that helps:
    ///
    /// ```
    /// # use tinymem::Tinymem;
    /// # #[derive(Clone)] struct Entry;
    /// fn tidy(entry: &mut Box<Entry>) {
    ///     if Tinymem.should_move(&**entry) {
    ///         *entry = entry.clone();
    ///     }
    /// }
    /// ```
    ///
    /// A [`Handle`](crate::Handle) needs no such query. For a pointer that is not to a block of malloc it is false.
    pub fn should_move<T: ?Sized>(&self, block: *const T) -> bool {
        // SAFETY: tm_should_move takes any pointer.
        unsafe { sys::tm_should_move(block.cast()) }
    }

    /// Figures of both heaps; those of this allocator are in `raw`. The same as [`heap_stats`](crate::heap_stats).
    pub fn stats(&self) -> HeapStats {
        crate::heap_stats()
    }
}

// SAFETY: malloc's family never unwinds, gives blocks of the size and the alignment asked for, and null when there is
// no memory. All blocks come from the same malloc, whichever function has made them, so `free` and `realloc` take each.
unsafe impl GlobalAlloc for Tinymem {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if plain(layout) {
            sys::malloc(layout.size()).cast()
        } else {
            sys::memalign(layout.align(), layout.size()).cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        sys::free(block.cast())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if plain(layout) {
            return sys::calloc(1, layout.size()).cast();
        }
        let block = self.alloc(layout);
        if !block.is_null() {
            ptr::write_bytes(block, 0, layout.size());
        }
        block
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let wanted = Layout::from_size_align_unchecked(size, layout.align());
        if plain(layout) && plain(wanted) {
            return sys::realloc(block.cast(), size).cast();
        }
        // realloc keeps only malloc's own alignment.
        let new = self.alloc(wanted);
        if !new.is_null() {
            ptr::copy_nonoverlapping(block, new, layout.size().min(size));
            self.dealloc(block, layout);
        }
        new
    }
}
