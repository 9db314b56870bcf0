use std::ops::ControlFlow::Continue;
use tinymem::{each, scope, Handle};

fn main() {
    let handle = Handle::new(1);
    let mut kept = None;
    each(|name| {
        if name == handle.name().cast() {
            #[cfg(fail)]
            scope(|s| kept = Some(s.get(&handle))); //~ E0521
            #[cfg(not(fail))]
            scope(|s| kept = Some(*s.get(&handle)));
        }
        Continue(())
    });
    println!("{:?}", kept);
}
