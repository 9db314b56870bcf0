use tinymem::{Handle, Pinned};

fn main() {
    let handle = Handle::new((1, 2));
    let part = Pinned::map(handle.pin(), |pair| &pair.0);
    #[cfg(fail)]
    drop(handle); //~ E0505
    println!("{}", *part);
}
