use std::thread;
use tinymem::Handle;

fn main() {
    #[cfg(fail)]
    let handle = Handle::new(std::cell::Cell::new(1));
    #[cfg(not(fail))]
    let handle = Handle::new(std::sync::atomic::AtomicU32::new(1));
    let shared = &handle;
    thread::scope(|t| {
        t.spawn(move || println!("{:?}", shared)); //~ E0277
    });
}
