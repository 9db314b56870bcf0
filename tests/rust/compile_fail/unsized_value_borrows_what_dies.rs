use std::fmt::Display;
use tinymem::{unsize, Handle};

fn main() {
    #[cfg(not(fail))]
    let text = String::from("text");
    let thing: Handle<dyn Display + '_>;
    {
        #[cfg(fail)]
        let text = String::from("text");
        thing = unsize!(Handle::new(text.as_str()) => dyn Display + '_); //~ E0597
    }
    println!("{}", thing);
}
