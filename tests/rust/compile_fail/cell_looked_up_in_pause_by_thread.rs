use std::thread;
use tinymem::{mover, Handle};

fn main() {
    #[cfg(fail)]
    let handle = Handle::new(std::cell::Cell::new(1));
    #[cfg(not(fail))]
    let handle = Handle::new(std::sync::atomic::AtomicU32::new(1));
    let paused = mover::pause();
    let number = paused.get(&handle);
    thread::scope(|t| {
        t.spawn(move || println!("{:?}", number)); //~ E0277
    });
}
