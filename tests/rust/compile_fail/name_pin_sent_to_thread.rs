use std::thread;
use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    // SAFETY: not freed and not borrowed mutably meanwhile.
    let guard = unsafe { handle.name().try_pin() }.unwrap();
    thread::scope(|t| {
        #[cfg(fail)]
        t.spawn(move || println!("{}", *guard)); //~ E0277
        #[cfg(not(fail))]
        t.spawn(|| println!("{}", *guard)).join().unwrap();
    });
}
