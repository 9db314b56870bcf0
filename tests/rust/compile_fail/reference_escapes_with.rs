use tinymem::Handle;

fn main() {
    let handle = Handle::new(1);
    let mut kept = None;
    handle.with(|number| {
        #[cfg(fail)]
        kept.insert(number); //~ E0521
        #[cfg(not(fail))]
        kept.insert(*number);
    });
    println!("{:?}", kept);
}
