use tinymem::{scope, Handle32};

fn main() {
    let mut a = Handle32::new(1);
    #[cfg(not(fail))]
    let mut b = Handle32::new(2);
    scope(|s| {
        let first = a.get_mut_in(s);
        #[cfg(fail)]
        let second = a.get_mut_in(s); //~ E0499
        #[cfg(not(fail))]
        let second = b.get_mut_in(s);
        std::mem::swap(first, second);
    });
}
