//! Panics leave no pin, no scope and no memory behind.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tinymem::{scope, Handle, Handle32};

/// Figures are of the whole process: one test at a time.
static ONE: Mutex<()> = Mutex::new(());
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Value(bool);

impl Value {
    fn new(panics: bool) -> Self {
        LIVE.fetch_add(1, SeqCst);
        Value(panics)
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        assert!(!self.0, "clone");
        Value::new(false)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, SeqCst);
        if self.0 && !std::thread::panicking() {
            panic!("drop");
        }
    }
}

/// Whether no object is left. The thread of an earlier test may be ending just now, and objects that its cache hands
/// back count as live on their way, so the figure gets time to settle.
fn empty() -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while tinymem::stats().live_objects != 0 {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Runs `f`, which must panic, and holds it to what it leaves behind.
fn panics(f: impl FnOnce()) {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    assert!(empty(), "objects are there before");
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "no panic");
    assert_eq!(tinymem::stats().pins, 0, "pins are left");
    assert!(empty(), "objects are left");
    assert_eq!(LIVE.load(SeqCst), 0, "values are left, or were dropped twice");
}

#[test]
fn in_a_constructor() {
    panics(|| drop(Handle::<u32>::new_with(|| panic!("constructor"))));
}

#[test]
fn in_a_constructor_of_a_slice() {
    panics(|| {
        let _h = Handle::from_fn(10, |i| if i == 7 { panic!("constructor") } else { Value::new(false) });
    });
}

#[test]
fn in_an_iterator() {
    let next = |i| if i == 70 { panic!("next") } else { Value::new(false) };
    panics(|| drop((0..100).map(next).collect::<Handle<[_]>>()));
}

#[test]
fn in_a_drop() {
    panics(|| drop(Handle::new(Value::new(true))));
}

#[test]
fn in_a_drop_of_a_small_owner() {
    panics(|| drop(Handle32::new(Value::new(true))));
}

#[test]
fn in_a_drop_of_a_slice() {
    panics(|| drop(Handle::from_fn(10, |i| Value::new(i == 3))));
}

#[test]
fn in_a_drop_when_a_slice_is_cut() {
    panics(|| {
        let mut h = Handle::from_fn(10, |i| Value::new(i == 8));
        let cut = catch_unwind(AssertUnwindSafe(|| h.truncate(5)));
        assert_eq!((h.len(), LIVE.load(SeqCst)), (5, 5));
        std::panic::resume_unwind(cut.unwrap_err());
    });
}

#[test]
fn in_a_constructor_when_a_slice_grows() {
    panics(|| {
        let mut h = Handle::from_fn(3, |_| Value::new(false));
        let mut left = 4;
        let grown = catch_unwind(AssertUnwindSafe(|| {
            h.resize_with(10, || {
                left -= 1;
                assert_ne!(left, 0);
                Value::new(false)
            })
        }));
        assert_eq!((h.len(), LIVE.load(SeqCst)), (6, 6));
        std::panic::resume_unwind(grown.unwrap_err());
    });
}

#[test]
fn in_a_clone() {
    panics(|| {
        let h = Handle::new(Value::new(true));
        let cloned = catch_unwind(AssertUnwindSafe(|| drop(h.clone())));
        h.with(|v| assert!(v.0));
        drop(h); // panics too
        drop(cloned);
    });
}

#[test]
fn in_a_visitor() {
    panics(|| {
        let _h = Handle::new(Value::new(false));
        tinymem::each(|_| panic!("visitor"));
    });
}

#[test]
fn in_a_scope_of_a_visitor() {
    panics(|| {
        let h = Handle::new(Value::new(false));
        tinymem::each(|_| scope(|s| if s.get(&h).0 { std::ops::ControlFlow::Break(()) } else { panic!("visitor") }));
    });
    assert_eq!((tinymem::open_scopes(), tinymem::held_pins()), (0, 0));
}

#[test]
fn in_a_drop_near_another_object() {
    panics(|| {
        let near = Handle::new(Value::new(false));
        drop(Handle::new_near(Value::new(true), &near));
    });
}

#[test]
fn in_a_pause() {
    panics(|| {
        let _pause = tinymem::mover::pause();
        panic!("in a pause");
    });
    assert_eq!(tinymem::mover::settings().pauses, 0);
}

#[test]
fn under_pins_and_scopes() {
    panics(|| {
        let mut h = Handle::new(1);
        let other = Handle::new(2);
        let _pin = other.pin();
        let _lock = other.lock();
        scope(|s| {
            let two = s.get(&other);
            h.with_mut(|_| assert_eq!(*two, 3, "on purpose"));
        });
    });
    assert!(!scope_is_open());
}

/// Inside a scope of the caller `compact` does nothing. Outside one it moves what the library has not moved by itself.
fn scope_is_open() -> bool {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    !(0..100).any(|_| {
        let all: Vec<_> = (0..40_000).map(|i| Handle::new([i; 8])).collect();
        let _left: Vec<_> = all.into_iter().step_by(8).collect();
        tinymem::compact() > 0
    })
}

#[test]
fn a_scope_that_is_open_is_noticed() {
    assert!(scope(|_| scope_is_open()));
    assert!(!scope_is_open());
}

#[test]
fn without_memory_new_panics() {
    panics(|| drop(Handle::<[u64]>::from_fn(usize::MAX, |_| 0)));
}
