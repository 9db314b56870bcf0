//! Figures of both heaps, and compaction on demand.

use crate::sys;
use core::mem::size_of;

/// Figures of the movable heap. Bytes unless said otherwise. Each was true a moment ago; they are no snapshot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    struct_size: usize,
    /// Usable bytes of live objects.
    pub live_bytes: usize,
    /// Count of live objects.
    pub live_objects: usize,
    /// Pages of objects that may be resident.
    pub committed_bytes: usize,
    /// What size classes add, estimated from requests so far.
    pub rounding_bytes: usize,
    /// Records of the library, both heaps.
    pub metadata_bytes: usize,
    /// Pages of the handle table in use.
    pub table_bytes: usize,
    /// Committed less live.
    pub waste_bytes: usize,
    /// Count of objects moved so far.
    pub moved_objects: usize,
    /// Bytes moved so far.
    pub moved_bytes: usize,
    /// Count of moves that were dropped so far: pinned, locked, freed or resized meanwhile.
    pub aborted_moves: usize,
    /// Count: of these, by a pin or a look-up in a scope.
    pub aborted_by_touch: usize,
    /// Count: of these, because the mover found a pin or a lock.
    pub aborted_by_scan: usize,
    /// Count: of these, by a free or a resize.
    pub aborted_by_free: usize,
    /// Count of batches of moves so far.
    pub batches: usize,
    /// Count: of these, dropped because a scope stayed open, or of fork.
    pub dropped_batches: usize,
    /// The longest batch, in nanoseconds.
    pub longest_batch_ns: u64,
    /// The longest [`compact_step`], in nanoseconds.
    pub longest_step_ns: u64,
    /// Count of global fences so far.
    pub fences_global: usize,
    /// Count of expedited fences so far.
    pub fences_expedited: usize,
    /// Count of batches that needed no fence, since no other thread has used handles.
    pub fences_none: usize,
    /// Whether pins need no fence of their own.
    pub asymmetric: bool,
    /// Count of pins that all threads hold now.
    pub pins: usize,
    /// How long the oldest pin that is still held has been seen, in nanoseconds.
    pub oldest_pin_ns: u64,
    /// Nanoseconds spent compacting so far.
    pub time_ns: u64,
    /// Count of indices that are used again after they were set aside.
    pub revived_indices: usize,
    /// What moves objects, as a number: see [`mover::settings`](crate::mover::settings).
    pub mover_mode: usize,
    /// Of one processor that the mover's thread may take, per cent.
    pub mover_share: usize,
    /// Waste that a quiet program is left with, per cent of live bytes.
    pub mover_target: usize,
    /// Count, now: pauses of the mover that have not ended.
    pub mover_paused: usize,
}

/// A part of the memory: every byte that may be resident is in exactly one figure, from `live` to `empty`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct HeapPart {
    /// What the program asked for of `live`: estimated, or `usize::MAX` where it is not known.
    pub requested: usize,
    /// Usable bytes of blocks in the program's hands.
    pub live: usize,
    /// Free blocks that threads keep for the next allocation.
    pub cached: usize,
    /// Free, in pages that cannot go since a live or cached block shares them.
    pub stranded: usize,
    /// What is behind the last slot of a slab, and around large blocks.
    pub slack: usize,
    /// Metadata in the pages of slabs (movable).
    pub books: usize,
    /// Pages that hold nothing.
    pub empty: usize,
    /// The sum from `live` to `empty`.
    pub resident: usize,
    /// Count of live blocks.
    pub live_blocks: usize,
    /// Count of cached blocks.
    pub cached_blocks: usize,
    /// Given back to the kernel, so far.
    pub purged: usize,
    /// Of these, wanted again within seconds.
    pub regretted: usize,
    reserved: [usize; 8],
}

impl HeapPart {
    /// [`requested`](HeapPart::requested), if it is known.
    pub fn known_requested(&self) -> Option<usize> {
        (self.requested != sys::TM_UNKNOWN).then_some(self.requested)
    }
}

/// What a [`HeapClass`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClassKind {
    /// Slots of slabs, several to a page or a few pages each.
    Small,
    /// Slots of whole pages, 32 to 256 KiB; of the raw heap.
    Medium,
    /// All blocks that have address space of their own, of any size.
    Large,
    /// What is left of slabs that blocks of several classes share; of the raw heap.
    Mixed,
    /// A kind that this version of the crate does not know.
    Other,
}

/// One size class, or the large blocks of a heap. Bytes unless said otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct HeapClass {
    heap: usize,
    kind: usize,
    /// Of a slot; 0 for large and mixed.
    pub size: usize,
    /// Count of slabs; 0 for large.
    pub slabs: usize,
    /// Count of live blocks.
    pub live_blocks: usize,
    /// Count of cached blocks.
    pub cached_blocks: usize,
    /// Count of free slots of slabs.
    pub free_blocks: usize,
    /// As in [`HeapPart`], and so are the others.
    pub live: usize,
    /// Free blocks that threads keep.
    pub cached: usize,
    /// Free, in pages that cannot go.
    pub stranded: usize,
    /// Behind the last slot of a slab.
    pub slack: usize,
    /// Metadata in the pages of slabs.
    pub books: usize,
    /// Pages that hold nothing.
    pub empty: usize,
    /// The sum from `live` to `empty`.
    pub resident: usize,
}

impl HeapClass {
    /// Whether it is a class of malloc's heap.
    pub fn is_raw(&self) -> bool {
        self.heap == sys::TM_HEAP_RAW
    }

    /// Whether it is a class of the heap of handles.
    pub fn is_movable(&self) -> bool {
        self.heap == sys::TM_HEAP_MOVABLE
    }

    /// What it holds.
    pub fn kind(&self) -> ClassKind {
        match self.kind {
            sys::TM_CLASS_SMALL => ClassKind::Small,
            sys::TM_CLASS_MEDIUM => ClassKind::Medium,
            sys::TM_CLASS_LARGE => ClassKind::Large,
            sys::TM_CLASS_MIXED => ClassKind::Mixed,
            _ => ClassKind::Other,
        }
    }
}

/// There are never more classes than that.
pub const HEAP_CLASSES_MAX: usize = sys::TM_HEAP_CLASSES_MAX;

/// Where the memory of both heaps is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HeapStats {
    struct_size: usize,
    classes: *mut HeapClass,
    class_size: usize,
    max_classes: usize,
    /// Count of classes: see [`heap_stats_of_classes`].
    pub nclasses: usize,
    /// The heap of malloc.
    pub raw: HeapPart,
    /// The heap of handles.
    pub movable: HeapPart,
    /// Free address space that either takes from.
    pub spans: HeapPart,
    /// What may be resident: the three parts, `metadata` and `table`.
    pub resident: usize,
    /// Records of the library.
    pub metadata: usize,
    /// Pages of the handle table in use.
    pub table: usize,
    /// Address space of both heaps.
    pub mapped: usize,
    /// Given back to the kernel, so far.
    pub purged: usize,
    /// Of these, wanted again within seconds.
    pub regretted: usize,
    /// Of `purged`, given back because the heap was about to grow.
    pub growth_paid: usize,
    /// Count of requests so far that ended for want of memory.
    pub failures: usize,
    /// Bytes of movable objects that were moved, so far.
    pub moved: usize,
    /// Count of batches, so far, in which they were.
    pub batches: usize,
    /// What moves objects, as a number: see [`mover::settings`](crate::mover::settings).
    pub mover_mode: usize,
    /// Count, now: pauses of the mover that have not ended.
    pub mover_paused: usize,
}

// SAFETY: `classes` is null; the other fields are numbers.
unsafe impl Send for HeapStats {}
// SAFETY: as above, and nothing changes through a shared reference.
unsafe impl Sync for HeapStats {}

/// Figures of the movable heap.
pub fn stats() -> Stats {
    let mut figures = Stats { struct_size: size_of::<Stats>(), ..Stats::default() };
    // SAFETY: the structure has the layout of tm_stats_t, and struct_size says how much of it there is.
    unsafe { sys::tm_stats(&mut figures) };
    figures
}

/// Figures of both heaps.
pub fn heap_stats() -> HeapStats {
    heap_stats_of_classes(&mut [])
}

/// Figures of both heaps, and of their size classes: as many as `classes` has room for, of
/// [`nclasses`](HeapStats::nclasses). The classes of a heap and its large blocks make up the figures of the heap.
///
/// ```
/// let mut classes = [tinymem::HeapClass::default(); 20];
/// let figures = tinymem::heap_stats_of_classes(&mut classes);
/// let known = &classes[..figures.nclasses.min(20)];
/// assert!(known.iter().map(|class| class.live).sum::<usize>() <= figures.resident);
/// ```
pub fn heap_stats_of_classes(classes: &mut [HeapClass]) -> HeapStats {
    // SAFETY: all fields are numbers or a pointer, for which zero is a value.
    let mut figures: HeapStats = unsafe { core::mem::zeroed() };
    figures.struct_size = size_of::<HeapStats>();
    figures.class_size = size_of::<HeapClass>();
    if !classes.is_empty() {
        figures.classes = classes.as_mut_ptr();
        figures.max_classes = classes.len();
    }
    // SAFETY: the structures have the layout of tm_heap_stats_t and tm_heap_class_t, and the sizes say how much of them
    // there is; at most that many classes are written.
    unsafe { sys::tm_heap_stats(&mut figures) };
    figures.classes = core::ptr::null_mut();
    figures
}

/// Figures of all size classes of both heaps.
#[cfg(feature = "std")]
pub fn heap_classes() -> std::vec::Vec<HeapClass> {
    let mut classes = std::vec![HeapClass::default(); HEAP_CLASSES_MAX];
    let count = heap_stats_of_classes(&mut classes).nclasses;
    classes.truncate(count);
    classes
}

/// Compacts the movable heap now, as far as pins allow, and gives the memory back. Returns by how many bytes committed
/// memory fell. Does nothing inside a [`scope`](crate::scope()) of the caller.
///
/// The library compacts by itself while the program runs; no program needs to call this.
pub fn compact() -> usize {
    // SAFETY: tm_compact moves no object that is pinned, locked or looked up in a scope, and no reference to any other
    // exists.
    unsafe { sys::tm_compact() }
}

/// One step of compaction, of about `budget_us` microseconds. Returns whether another step could gain something now.
pub fn compact_step(budget_us: u32) -> bool {
    // SAFETY: as for `compact`.
    unsafe { sys::tm_compact_step(budget_us) }
}

/// Says that the calling thread is about to wait, so that a part of what is empty may go back to the kernel.
pub fn idle() {
    // SAFETY: as for `compact`.
    unsafe { sys::tm_idle() }
}

/// The version of the library that the program runs with, `"major.minor.patch"`.
pub fn version() -> &'static str {
    // SAFETY: tm_version returns a string in static storage that ends with a zero byte.
    let bytes = unsafe {
        let text = sys::tm_version().cast::<u8>();
        let length = (0..).take_while(|&i| *text.add(i) != 0).count();
        core::slice::from_raw_parts(text, length)
    };
    core::str::from_utf8(bytes).unwrap_or("")
}

/// All figures as one line of JSON, written to `buffer` as far as it goes. Returns the length of the whole text: when
/// it is not below the buffer's length, the text was cut. The text ends with a zero byte.
pub fn write_json(buffer: &mut [u8]) -> usize {
    // SAFETY: at most that many bytes are written.
    unsafe { sys::tm_stats_json(buffer.as_mut_ptr(), buffer.len()) }
}

/// As [`write_json`], in the text format of Prometheus.
pub fn write_prometheus(buffer: &mut [u8]) -> usize {
    // SAFETY: at most that many bytes are written.
    unsafe { sys::tm_stats_prometheus(buffer.as_mut_ptr(), buffer.len()) }
}

/// All figures as one line of JSON.
#[cfg(feature = "std")]
pub fn json() -> std::string::String {
    whole(write_json)
}

/// All figures in the text format of Prometheus.
#[cfg(feature = "std")]
pub fn prometheus() -> std::string::String {
    whole(write_prometheus)
}

#[cfg(feature = "std")]
fn whole(write: fn(&mut [u8]) -> usize) -> std::string::String {
    let mut room = 16 << 10;
    loop {
        let mut text = std::vec![0; room];
        let length = write(&mut text);
        if length < room {
            text.truncate(length);
            return std::string::String::from_utf8_lossy(&text).into_owned();
        }
        room = length + length / 4 + 1; // the heap may have changed
    }
}
