use tinymem::{scope, Handle};

fn main() {
    let handle = Handle::new(1);
    let mut kept = None;
    scope(|s| {
        #[cfg(fail)]
        kept.insert(s.get(&handle)); //~ E0521
        #[cfg(not(fail))]
        kept.insert(*s.get(&handle));
    });
    println!("{:?}", kept);
}
