use std::thread;
use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    #[cfg(fail)]
    let guard = handle.pin();
    #[cfg(not(fail))]
    let guard = handle.lock();
    thread::scope(|t| {
        #[cfg(fail)]
        t.spawn(move || println!("{}", *guard)); //~ E0277
        #[cfg(not(fail))]
        t.spawn(move || println!("{}", *guard));
    });
}
