use tinymem::Handle;

fn main() {
    let mut a = Handle::new(1);
    #[cfg(not(fail))]
    let mut b = Handle::new(2);
    let mut first = a.pin_mut();
    #[cfg(fail)]
    let mut second = a.pin_mut(); //~ E0499
    #[cfg(not(fail))]
    let mut second = b.pin_mut();
    std::mem::swap(&mut *first, &mut *second);
}
