use tinymem::Handle;

fn main() {
    #[cfg(not(fail))]
    let handle = Handle::new(1);
    let pin;
    {
        #[cfg(fail)]
        let handle = Handle::new(1);
        pin = handle.pin(); //~ E0597
    }
    println!("{}", *pin);
}
