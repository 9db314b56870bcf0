use std::thread;
use tinymem::Handle;

fn main() {
    #[cfg(fail)]
    let handle = Handle::new(std::rc::Rc::new(1));
    #[cfg(not(fail))]
    let handle = Handle::new(std::sync::Arc::new(1));
    thread::spawn(move || drop(handle)).join().unwrap(); //~ E0277
}
