//! Handles among threads, and what happens to a guard that is never dropped.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{mpsc, Arc, Mutex, RwLock};
use std::thread;
use tinymem::{scope, Handle, Handle32};

const ROUNDS: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// A generator of pseudo-random numbers (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn threads_read_shared_handles_while_they_move() {
    let shared: Vec<Handle<[u64; 4]>> = (0..2000).map(|i| Handle::new([i, i * 2, i * 3, i * 4])).collect();
    // New objects among holes take the place of old ones, so that there is something to move all the time.
    let crowd = || (0..30_000).map(|_| Handle::new([0u64; 4])).collect::<Vec<_>>();
    let (stop, moved) = (AtomicBool::new(false), tinymem::stats().moved_objects);
    thread::scope(|t| {
        t.spawn(|| {
            while !stop.load(Relaxed) {
                let few: Vec<_> = crowd().into_iter().step_by(8).collect();
                tinymem::compact();
                drop(few);
            }
        });
        let readers: Vec<_> = (1..4)
            .map(|seed| {
                let shared = &shared;
                t.spawn(move || {
                    let mut state = seed;
                    for round in 1.. {
                        if round % ROUNDS == 0 && (tinymem::stats().moved_objects > moved || round > 100 * ROUNDS) {
                            break;
                        }
                        let i = next(&mut state) % 2000;
                        let want = [i, i * 2, i * 3, i * 4];
                        match next(&mut state) % 4 {
                            0 => assert_eq!(*shared[i as usize].pin(), want),
                            1 => scope(|s| assert_eq!(*s.get(&shared[i as usize]), want)),
                            2 => assert_eq!(*shared[i as usize].lock(), want),
                            _ => assert_eq!(shared[i as usize].get(), want),
                        }
                    }
                })
            })
            .collect();
        readers.into_iter().for_each(|r| r.join().unwrap());
        stop.store(true, Relaxed);
    });
    assert!(tinymem::stats().moved_objects > moved, "nothing moved: the test shows nothing");
}

#[test]
fn handles_go_from_thread_to_thread() {
    let (send, receive) = mpsc::channel::<Handle<String>>();
    let reader = thread::spawn(move || receive.into_iter().map(|h| h.into_inner().len()).sum::<usize>());
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let send = send.clone();
            thread::spawn(move || (0..ROUNDS / 10).for_each(|i| send.send(Handle::new(format!("{:05}", i))).unwrap()))
        })
        .collect();
    drop(send);
    senders.into_iter().for_each(|s| s.join().unwrap());
    assert_eq!(reader.join().unwrap(), 3 * (ROUNDS / 10) * 5);
}

#[test]
fn locks_and_atomics_in_objects_work_across_threads() {
    let counter = Handle::new(AtomicU64::new(0));
    let list = Handle::new(Mutex::new(Vec::new()));
    let table = Arc::new(RwLock::new(Handle32::new(0u64)));
    thread::scope(|t| {
        for k in 0..4u64 {
            let (counter, list, table) = (&counter, &list, table.clone());
            t.spawn(move || {
                for i in 0..1000 {
                    counter.pin().fetch_add(1, Relaxed);
                    list.with(|l| l.lock().unwrap().push(k));
                    *table.write().unwrap().pin_mut() += i;
                }
            });
        }
    });
    assert_eq!(counter.pin().load(Relaxed), 4000);
    assert_eq!(list.pin().lock().unwrap().len(), 4000);
    assert_eq!(*table.read().unwrap().pin(), 4 * 499_500);
}

#[test]
fn a_lock_ends_on_another_thread() {
    let h = Handle::new(5);
    let lock = h.lock();
    thread::scope(|t| {
        t.spawn(move || assert_eq!(*lock, 5));
    });
    drop(h); // ends the program if the lock were still held
}

/// Runs one test of this file by itself, as `role`.
fn run(test: &str, role: &str) -> Output {
    let this = std::env::current_exe().unwrap();
    Command::new(this).args(["--exact", test, "--nocapture"]).env("TINYMEM_ROLE", role).output().unwrap()
}

fn role() -> Option<String> {
    std::env::var("TINYMEM_ROLE").ok()
}

#[test]
fn a_guard_that_outlives_its_thread_ends_the_program() {
    match role().as_deref() {
        None => {
            let bad = run("a_guard_that_outlives_its_thread_ends_the_program", "leak");
            let said = String::from_utf8_lossy(&bad.stderr).into_owned();
            assert!(!bad.status.success(), "a leaked guard went unnoticed");
            assert!(said.contains("a thread ended with a Pinned"), "{}", said);
            let good = run("a_guard_that_outlives_its_thread_ends_the_program", "drop");
            assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
        }
        Some(role) => {
            let leak = role == "leak";
            let number = thread::spawn(move || {
                let handle: &'static Handle<u64> = Box::leak(Box::new(Handle::new(7)));
                let pin = handle.pin();
                if leak {
                    let number: &'static u64 = &*Box::leak(Box::new(pin));
                    number
                } else {
                    &7
                }
            });
            assert_eq!(*number.join().unwrap(), 7);
        }
    }
}

#[test]
fn a_forgotten_guard_ends_the_program_when_its_object_is_freed() {
    match role().as_deref() {
        None => {
            let bad = run("a_forgotten_guard_ends_the_program_when_its_object_is_freed", "forget");
            assert!(!bad.status.success());
            assert!(String::from_utf8_lossy(&bad.stderr).contains("pinned"), "{:?}", bad);
            let good = run("a_forgotten_guard_ends_the_program_when_its_object_is_freed", "keep");
            assert!(good.status.success(), "{:?}", good);
        }
        Some(role) => {
            let handle = Handle::new(1);
            let pin = handle.pin();
            if role == "forget" {
                std::mem::forget(pin);
            } else {
                drop(pin);
            }
            drop(handle);
        }
    }
}
