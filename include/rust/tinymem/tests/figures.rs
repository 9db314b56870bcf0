//! Figures, which are of the whole process: so this is a program of its own, with one test.
#![cfg(feature = "malloc")]

use tinymem::{Handle, Tinymem};

#[global_allocator]
static HEAP: Tinymem = Tinymem;

#[test]
fn figures_trim_and_compaction_work() {
    raw();
    texts();
    movable();
}

fn raw() {
    let before = HEAP.stats();
    let blocks: Vec<Vec<u8>> = (0..20_000).map(|i| vec![1; 500 + i % 500]).collect();
    let full = HEAP.stats();
    assert!(full.raw.live >= before.raw.live + 10_000_000, "this program is not on tinymem: {:?}", full.raw);
    assert!(full.resident >= full.raw.live);
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
    let full = tinymem::stats();
    assert!(full.live_objects == 50_000 && full.live_bytes >= 5_000_000, "{:?}", full);
    assert!(full.committed_bytes >= full.live_bytes && full.table_bytes > 0 && full.asymmetric, "{:?}", full);
    let few: Vec<_> = all.into_iter().step_by(10).collect();
    let pin = few[0].pin();
    assert_eq!(tinymem::stats().pins, 1);
    while tinymem::compact_step(1000) {}
    tinymem::compact();
    drop(pin);
    tinymem::idle();
    let after = tinymem::stats();
    assert_eq!(after.live_objects, 5_000);
    assert!(after.moved_objects > 0 && after.committed_bytes < full.committed_bytes / 2, "{:?}", after);
    assert!(after.batches > 0 && after.time_ns > 0 && after.pins == 0, "{:?}", after);
}
