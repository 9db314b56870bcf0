use std::thread;
use tinymem::{scope, Handle};

fn main() {
    let handle = Handle::new(1);
    scope(|s| {
        let number = s.get(&handle);
        thread::scope(|t| {
            #[cfg(fail)]
            t.spawn(|| println!("{}", s.get(&handle))); //~ E0277
            t.spawn(|| println!("{}", number));
        });
    });
}
