use tinymem::Handle;

fn main() {
    #[cfg(not(fail))]
    let text = String::from("text");
    let handle;
    {
        #[cfg(fail)]
        let text = String::from("text");
        handle = Handle::new(text.as_str()); //~ E0597
    }
    println!("{}", handle);
}
