use tinymem::{unsize, Handle};

struct Plain;

fn main() {
    #[cfg(fail)]
    let thing = unsize!(Handle::new(Plain) => dyn std::fmt::Debug); //~ E0277
    #[cfg(not(fail))]
    let thing = unsize!(Handle::new(1) => dyn std::fmt::Debug);
    println!("{:?}", thing);
    drop(Handle::new(Plain));
}
