use tinymem::Handle;

fn main() {
    let handle = Handle::new(String::from("text"));
    #[cfg(not(fail))]
    println!("{}", handle);
    let text = handle.into_inner();
    #[cfg(fail)]
    println!("{}", handle); //~ E0382
    println!("{}", text);
}
