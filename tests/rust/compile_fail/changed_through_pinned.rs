use tinymem::Handle;

fn main() {
    #[cfg(fail)]
    let handle = Handle::new(vec![1]);
    #[cfg(not(fail))]
    let mut handle = Handle::new(vec![1]);
    #[cfg(fail)]
    handle.pin().push(2); //~ E0596
    #[cfg(not(fail))]
    handle.pin_mut().push(2);
}
