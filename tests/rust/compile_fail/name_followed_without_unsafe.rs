use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    let name = handle.name();
    #[cfg(fail)]
    let pin = name.try_pin(); //~ E0133
    #[cfg(not(fail))]
    // SAFETY: not freed and not borrowed mutably meanwhile.
    let pin = unsafe { name.try_pin() };
    println!("{}", *pin.unwrap());
}
