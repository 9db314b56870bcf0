use tinymem::Handle;

fn main() {
    #[cfg(fail)]
    let list = Handle::<[&u32]>::zeroed_slice(3); //~ E0599
    #[cfg(not(fail))]
    let list = Handle::<[*const u32]>::zeroed_slice(3);
    println!("{:?}", list);
}
