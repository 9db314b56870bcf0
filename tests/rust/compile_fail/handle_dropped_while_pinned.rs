use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    let pin = handle.pin();
    #[cfg(fail)]
    drop(handle); //~ E0505
    println!("{}", *pin);
    drop(pin);
    #[cfg(not(fail))]
    drop(handle);
}
