use tinymem::Handle;

fn main() {
    let name = Handle::new(String::from("name"));
    #[cfg(fail)]
    let text: &str = name.pin().as_str(); //~ E0716
    #[cfg(not(fail))]
    let pin = name.pin();
    #[cfg(not(fail))]
    let text: &str = pin.as_str();
    println!("{}", text);
}
