use tinymem::Handle;

fn main() {
    let mut list: Handle<[u32]> = Handle::from([1, 2, 3]);
    let pin = list.pin();
    #[cfg(fail)]
    list.truncate(1); //~ E0502
    println!("{}", pin[2]);
    drop(pin);
    #[cfg(not(fail))]
    list.truncate(1);
}
