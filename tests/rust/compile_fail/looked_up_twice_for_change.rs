use tinymem::{scope, Handle};

fn main() {
    let mut a = Handle::new(1);
    #[cfg(not(fail))]
    let mut b = Handle::new(2);
    scope(|s| {
        let first = s.get_mut(&mut a);
        #[cfg(fail)]
        let second = s.get_mut(&mut a); //~ E0499
        #[cfg(not(fail))]
        let second = s.get_mut(&mut b);
        std::mem::swap(first, second);
    });
}
