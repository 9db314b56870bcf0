use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    let lock = handle.lock();
    #[cfg(fail)]
    drop(handle); //~ E0505
    println!("{}", *lock);
}
