//! What a program controls: the mover, options, profiles. All of them are of the whole process: one test at a time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{fs, io, thread};
use tinymem::mover::{self, Mode};
use tinymem::options::{self, Error};
use tinymem::{profile, Handle, Pinned};

static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// Objects with holes between them.
fn holes() -> Vec<Handle<[u64; 8]>> {
    let all: Vec<_> = (0..40_000).map(|i| Handle::new([i; 8])).collect();
    all.into_iter().step_by(8).collect()
}

fn addresses(handles: &[Handle<[u64; 8]>]) -> Vec<*const [u64; 8]> {
    handles.iter().map(|h| Pinned::as_ptr(&h.pin())).collect()
}

fn moved() -> usize {
    tinymem::stats().moved_objects
}

fn add(sum: &AtomicUsize, n: usize) {
    sum.fetch_add(n, SeqCst);
}

/// Whether it becomes true within some time.
fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn the_mover_does_what_it_is_told() {
    let _one = alone();
    let first = mover::settings();
    assert_eq!((first.mode, first.pauses), (Mode::Background, 0));
    mover::set(Some(Mode::Manual), Some(37), Some(410)).unwrap();
    let now = mover::settings();
    assert_eq!((now.mode, now.share, now.target), (Mode::Manual, 37, 410));
    let (left, before) = (holes(), moved());
    thread::sleep(Duration::from_millis(300));
    assert_eq!(moved(), before, "by itself it moved something");
    tinymem::compact();
    assert!(moved() > before, "control: by hand nothing moved");
    mover::set(Some(Mode::Off), None, None).unwrap();
    assert_eq!((mover::settings().mode, mover::settings().share), (Mode::Off, 37));
    let (more, before) = (holes(), moved());
    tinymem::compact();
    assert_eq!(moved(), before, "it moved something though it is off");
    mover::set(Some(Mode::Background), Some(100), Some(0)).unwrap();
    assert!(soon(|| moved() > before), "control: in the background nothing moved");
    mover::set(None, Some(first.share), Some(first.target)).unwrap();
    assert_eq!(mover::settings(), first);
    assert_eq!(left.len() + more.len(), 10_000);
}

#[test]
fn what_the_mover_does_not_take_is_an_error() {
    let _one = alone();
    let first = mover::settings();
    for (share, target) in [(Some(0), None), (Some(101), None), (None, Some(1001)), (Some(50), Some(u32::MAX))] {
        let why = mover::set(Some(Mode::Off), share, target).unwrap_err();
        assert!(why.to_string().contains("per cent"));
        assert_eq!(mover::settings(), first);
    }
    mover::set(None, None, None).unwrap();
    assert_eq!(mover::settings(), first);
}

#[test]
fn nothing_moves_in_a_pause() {
    let _one = alone();
    let (outer, inner) = (mover::pause(), mover::pause());
    assert_eq!((mover::settings().pauses, tinymem::heap_stats().mover_paused), (2, 2));
    let (mut left, before) = (holes(), moved());
    let old = addresses(&left);
    {
        let all: Vec<&[u64; 8]> = left.iter().map(|h| outer.get(h)).collect();
        thread::scope(|t| drop(t.spawn(|| tinymem::compact()))); // which other threads cannot do, either
        assert!(all.iter().zip(&old).all(|(value, &address)| std::ptr::eq(*value, address)));
        thread::scope(|t| drop(t.spawn(|| assert!(all.iter().enumerate().all(|(i, v)| v[7] == i as u64 * 8)))));
    }
    let still = mover::pause();
    drop(outer);
    thread::spawn(move || drop(inner)).join().unwrap();
    still.get_mut(&mut left[0])[0] = 77;
    tinymem::compact();
    assert_eq!((left[0].pin()[0], moved()), (77, before));
    assert_eq!(addresses(&left), old);
    drop(still);
    assert_eq!(mover::settings().pauses, 0);
    tinymem::compact();
    assert!(moved() > before, "control: nothing moved after the pause");
}

#[test]
fn a_pause_that_is_forgotten_lasts() {
    let _one = alone();
    let pause: &'static mover::Paused = Box::leak(Box::new(mover::pause()));
    let number: &'static Handle<u32> = Box::leak(Box::new(Handle::new(5)));
    let value: &'static u32 = pause.get(number);
    tinymem::compact();
    assert_eq!((*value, mover::settings().pauses), (5, 1));
    // SAFETY: leaked above, and no longer used.
    drop(unsafe { Box::from_raw(pause as *const _ as *mut mover::Paused) });
    assert_eq!(mover::settings().pauses, 0);
}

/// Moves something, which ends a batch.
fn batch() {
    let left = holes();
    tinymem::compact();
    drop(left);
}

#[test]
fn the_hook_is_told_what_batches_moved() {
    let _one = alone();
    mover::set(Some(Mode::Manual), None, None).unwrap();
    let sum = Arc::new([0; 4].map(AtomicUsize::new));
    let hook = sum.clone();
    let before = tinymem::stats();
    mover::set_batch_hook(move |batch| {
        let figures = [batch.batches, batch.moved_objects, batch.moved_bytes, (batch.time_ns > 0) as usize];
        hook.iter().zip(figures).for_each(|(sum, n)| add(sum, n));
    });
    batch();
    let (after, told) = (tinymem::stats(), sum.iter().map(|n| n.load(SeqCst)).collect::<Vec<_>>());
    assert_eq!(told[0], after.batches - before.batches);
    assert_eq!(told[1], after.moved_objects - before.moved_objects);
    assert_eq!(told[2], after.moved_bytes - before.moved_bytes);
    assert!(told[0] > 0 && told[1] > 0 && told[2] >= 64 && told[3] > 0, "{:?}", told);
    mover::clear_batch_hook();
    assert_eq!(Arc::strong_count(&sum), 1, "the closure was not dropped");
    batch();
    assert_eq!(sum[0].load(SeqCst), told[0], "control: it is told after it was cleared");
    mover::set(Some(Mode::Background), None, None).unwrap();
}

#[test]
fn a_hook_may_panic() {
    let _one = alone();
    mover::set(Some(Mode::Manual), None, None).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    mover::set_batch_hook(move |_| {
        add(&counter, 1);
        panic!("on purpose");
    });
    batch();
    let first = calls.load(SeqCst);
    assert!(first > 0, "it was not called");
    batch();
    assert!(calls.load(SeqCst) > first, "control: it is called after a panic, too");
    mover::clear_batch_hook();
    assert_eq!(Arc::strong_count(&calls), 1);
    mover::set(Some(Mode::Background), None, None).unwrap();
}

#[test]
fn a_hook_may_set_another() {
    let _one = alone();
    mover::set(Some(Mode::Manual), None, None).unwrap();
    let (calls, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let (counter, mine) = (calls.clone(), alive.clone());
    mover::set_batch_hook(move |_| {
        let next = counter.clone();
        mover::set_batch_hook(move |_| add(&next, 1));
        // The closure that runs is dropped when it has returned: what it owns is there.
        add(&counter, 1000 * Arc::strong_count(&mine));
    });
    batch();
    assert_eq!(calls.load(SeqCst), 2000);
    assert_eq!(Arc::strong_count(&alive), 1, "the closure was not dropped when it had returned");
    batch();
    assert!(calls.load(SeqCst) > 2000, "control: the other one is not called");
    mover::clear_batch_hook();
    assert_eq!(Arc::strong_count(&calls), 1);
    mover::set(Some(Mode::Background), None, None).unwrap();
}

#[test]
fn hooks_are_exchanged_while_batches_end() {
    let _one = alone();
    let (stop, calls) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    thread::scope(|t| {
        for _ in 0..2 {
            t.spawn(|| {
                while !stop.load(SeqCst) {
                    let (calls, text) = (calls.clone(), String::from("alive"));
                    mover::set_batch_hook(move |_| add(&calls, text.len()));
                }
            });
        }
        assert!(soon(|| {
            batch();
            calls.load(SeqCst) > 100
        }));
        stop.store(true, SeqCst);
    });
    mover::clear_batch_hook();
    assert_eq!(Arc::strong_count(&calls), 1, "closures are left");
}

#[test]
fn options_are_read_and_set() {
    let _one = alone();
    let old = options::get("purge_delay").unwrap();
    assert_ne!(old, "4321");
    options::set("purge_delay", "4321").unwrap();
    assert_eq!(options::get("purge_delay").unwrap(), "4321");
    options::set("purge_delay", &old).unwrap();
    assert_eq!(options::get("purge_delay").unwrap(), old);
    let long = "x".repeat(1000);
    for name in ["", "no_such", "purge_delay\0", "purge_delay ", "é", &long] {
        assert_eq!(options::get(name), Err(Error::Unknown), "{:?}", name);
        assert_eq!(options::set(name, "1"), Err(Error::Unknown), "{:?}", name);
    }
    for value in ["", "-1", "soon", "1\0", "99999999999999999999", &long] {
        assert_eq!(options::set("purge_delay", value), Err(Error::Value), "{:?}", value);
    }
    assert_eq!(options::set("check", "full"), Err(Error::AtStartOnly));
    assert_eq!(options::read("purge_delay", &mut []), Err(Error::TooLong));
    let mut room = vec![0; old.len()];
    assert_eq!(options::read("purge_delay", &mut room), Ok(old.as_bytes()));
    assert!(Error::AtStartOnly.to_string().contains("start"));
}

#[test]
fn a_profile_is_written() {
    let _one = alone();
    let file = std::env::temp_dir().join(format!("tinymem-rust-{}.profile", std::process::id()));
    let early = profile::dump(Some(&file)).unwrap_err();
    assert_eq!(early.raw_os_error(), Some(22), "control: there is nothing to write yet");
    profile::start(1).unwrap();
    profile::start(1).unwrap();
    let kept: Vec<_> = (0..100).map(|_| Handle::new([0u8; 3000])).collect();
    profile::dump(Some(&file)).unwrap();
    profile::stop();
    assert_eq!(profile::start(4096).unwrap_err().raw_os_error(), Some(16));
    let size = fs::metadata(&file).unwrap().len();
    assert!(size > 100, "{}", size);
    fs::remove_file(&file).unwrap();
    let nowhere = profile::dump(Some("/no/such/directory/file".as_ref())).unwrap_err();
    assert_eq!(nowhere.kind(), io::ErrorKind::NotFound);
    let zero = profile::dump(Some("a\0b".as_ref())).unwrap_err();
    assert_eq!(zero.kind(), io::ErrorKind::InvalidInput);
    drop(kept);
}
