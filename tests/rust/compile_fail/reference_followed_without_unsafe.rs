use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    let name = handle.to_ref();
    #[cfg(fail)]
    let pin = name.pin(); //~ E0133
    #[cfg(not(fail))]
    // SAFETY: alive, and not borrowed.
    let pin = unsafe { name.pin() };
    println!("{}", *pin);
}
