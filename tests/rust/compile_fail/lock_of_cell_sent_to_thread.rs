use std::thread;
use tinymem::Handle;

fn main() {
    #[cfg(fail)]
    let handle = Handle::new(std::cell::Cell::new(1));
    #[cfg(not(fail))]
    let handle = Handle::new(std::sync::atomic::AtomicU32::new(1));
    let lock = handle.lock();
    thread::scope(|t| {
        t.spawn(move || println!("{:?}", lock)); //~ E0277
    });
}
