use tinymem::{Handle, Name};

fn main() {
    let handle = Handle::new(1u32);
    #[cfg(fail)]
    let name: Name<u64> = handle.name(); //~ E0308
    #[cfg(not(fail))]
    let name: Name<u64> = handle.name().cast();
    println!("{:?}", name);
}
