use tinymem::{unsize, Handle};

fn main() {
    let handle = Handle::new([1u32, 2]);
    #[cfg(fail)]
    let list = unsize!(handle => [u64]); //~ E0308
    #[cfg(not(fail))]
    let list = unsize!(handle => [u32]);
    println!("{}", list.len());
}
