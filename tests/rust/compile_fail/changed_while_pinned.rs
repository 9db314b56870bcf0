use tinymem::Handle;

fn main() {
    let mut handle = Handle::new(vec![1]);
    let pin = handle.pin();
    #[cfg(fail)]
    handle.pin_mut().push(2); //~ E0502
    println!("{}", pin[0]);
    drop(pin);
    #[cfg(not(fail))]
    handle.pin_mut().push(2);
}
