use tinymem::{scope, Handle};

fn main() {
    let handle = Handle::new(1);
    #[cfg(fail)]
    let number = scope(|s| s.get(&handle)); //~ error
    #[cfg(not(fail))]
    let number = scope(|s| *s.get(&handle));
    println!("{:?}", number);
}
