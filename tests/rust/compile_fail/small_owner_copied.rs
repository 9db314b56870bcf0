use tinymem::Handle32;

fn main() {
    let owner = Handle32::new(1);
    #[cfg(fail)]
    let other = owner;
    #[cfg(not(fail))]
    let other = owner.clone();
    println!("{:?}", other);
    println!("{:?}", owner); //~ E0382
}
