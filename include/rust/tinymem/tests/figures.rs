//! Figures, which are of the whole process: so this is a program of its own, with one test.
#![cfg(feature = "malloc")]

use std::time::{Duration, Instant};
use tinymem::{ClassKind, Handle, HeapClass, Tinymem, HEAP_CLASSES_MAX};

#[global_allocator]
static HEAP: Tinymem = Tinymem;

#[test]
fn figures_trim_and_compaction_work() {
    raw();
    texts();
    movable();
    classes();
    places();
}

/// Whether it becomes true within some time.
fn soon(condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

fn raw() {
    let before = HEAP.stats();
    let blocks: Vec<Vec<u8>> = (0..20_000).map(|i| vec![1; 500 + i % 500]).collect();
    let full = HEAP.stats();
    assert!(full.raw.live >= before.raw.live + 10_000_000, "this program is not on tinymem: {:?}", full.raw);
    assert!(full.resident >= full.raw.live);
    assert_eq!(full.raw.known_requested(), None, "the raw heap does not know what was asked for");
    assert!(full.movable.known_requested().is_some());
    drop(blocks);
    HEAP.trim(0);
    let after = HEAP.stats();
    assert!(after.raw.live < full.raw.live && after.raw.resident < full.raw.resident);
    assert!(after.purged > before.purged);
}

fn texts() {
    assert_eq!(tinymem::version().split('.').count(), 3);
    let json = tinymem::json();
    assert!(json.starts_with('{') && json.trim_end().ends_with('}'), "{}", json);
    assert!(tinymem::prometheus().contains("# TYPE"));
    let mut short = [0; 10];
    assert!(tinymem::write_json(&mut short) > 10);
    assert_eq!((short[0], short[9]), (b'{', 0));
}

fn movable() {
    let all: Vec<Handle<[u8; 100]>> = (0..50_000).map(|_| Handle::new([7; 100])).collect();
    // An object that is being moved may count twice.
    assert!(soon(|| tinymem::stats().live_objects == 50_000), "{:?}", tinymem::stats());
    let full = tinymem::stats();
    assert!(full.live_objects >= 50_000 && full.live_bytes >= 5_000_000, "{:?}", full);
    assert!(full.committed_bytes >= full.live_bytes && full.table_bytes > 0 && full.asymmetric, "{:?}", full);
    let few: Vec<_> = all.into_iter().step_by(10).collect();
    let pin = few[0].pin();
    assert_eq!(tinymem::stats().pins, 1);
    while tinymem::compact_step(1000) {}
    tinymem::compact();
    drop(pin);
    tinymem::idle();
    assert!(soon(|| tinymem::stats().live_objects == 5_000), "{:?}", tinymem::stats());
    let after = tinymem::stats();
    assert!(after.moved_objects > 0 && after.committed_bytes < full.committed_bytes / 2, "{:?}", after);
    assert!(after.batches > 0 && after.time_ns > 0 && after.pins == 0, "{:?}", after);
}

fn classes() {
    let texts: Vec<Handle<[u8; 100]>> = (0..5_000).map(|_| Handle::new([7; 100])).collect();
    let boxes: Vec<Box<[u8; 50_000]>> = (0..100).map(|_| Box::new([7; 50_000])).collect();
    let large = vec![7u8; 10_000_000];
    let mut room = vec![HeapClass::default(); HEAP_CLASSES_MAX];
    let figures = tinymem::heap_stats_of_classes(&mut room);
    let known = &room[..figures.nclasses];
    let sum = |movable, of: fn(&HeapClass) -> usize| {
        known.iter().filter(|class| class.is_movable() == movable).map(of).sum::<usize>()
    };
    assert_eq!((sum(false, |c| c.live), sum(true, |c| c.live)), (figures.raw.live, figures.movable.live));
    assert_eq!(sum(false, |c| c.live_blocks), figures.raw.live_blocks);
    assert_eq!(sum(true, |c| c.resident), figures.movable.resident);
    let has =
        |movable, kind, bytes| known.iter().any(|c| c.is_movable() == movable && c.kind() == kind && c.live >= bytes);
    // With check:full there are no medium blocks, and the library places them as large ones.
    let medium = has(false, ClassKind::Medium, 5_000_000) || has(false, ClassKind::Large, large.len() + 5_000_000);
    assert!(has(true, ClassKind::Small, 500_000) && medium, "{:?}", known);
    assert!(has(false, ClassKind::Large, large.len()) && !has(true, ClassKind::Large, 1), "{:?}", known);
    assert!(room[figures.nclasses..].iter().all(|class| class.live == 0 && class.size == 0));
    assert!(known.iter().all(|class| class.is_raw() != class.is_movable()));
    let mut few = [HeapClass::default(); 2];
    assert!(tinymem::heap_stats_of_classes(&mut few).nclasses > 2 && few[1].resident > 0);
    assert!(tinymem::heap_stats_of_classes(&mut []).nclasses > 2);
    assert!(tinymem::heap_classes().len() >= known.len() / 2);
    assert!(figures.moved > 0 && figures.batches > 0 && figures.mover_paused == 0, "{:?}", figures);
    assert_eq!((texts.len(), boxes.len()), (5_000, 100));
}

fn places() {
    let should = |boxes: &[Box<[u64; 12]>]| boxes.iter().filter(|b| HEAP.should_move(&***b)).count();
    let all: Vec<Box<[u64; 12]>> = (0..200_000).map(|i| Box::new([i; 12])).collect();
    let dense = should(&all[..1000]);
    // Some places are left half full, and many nearly empty.
    let kept = |i| if i < 20_000 { i % 2 == 0 } else { i % 32 == 0 };
    let few: Vec<_> = all.into_iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, b)| b).collect();
    HEAP.trim(0);
    assert!(should(&few[10_000..]) > 1000, "{} of {}", should(&few), few.len());
    assert_eq!(dense, 0, "control: in a full place");
    let (local, handle) = (1, Handle::new(1));
    assert!(!HEAP.should_move(&local) && !HEAP.should_move(std::ptr::null::<u8>()));
    assert!(!HEAP.should_move(handle.bits() as *const u8) && !HEAP.should_move(&*handle.pin()));
    for odd in [1, 4095, 1 << 47, (1 << 47) - 1, 1 << 48, 1 << 63, usize::MAX] {
        assert!(!HEAP.should_move(odd as *const u8), "{:#x}", odd);
    }
}
