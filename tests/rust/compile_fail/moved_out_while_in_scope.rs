use tinymem::{scope, Handle};

fn main() {
    let handle = Handle::new(String::from("name"));
    scope(|s| {
        let text = s.get(&handle);
        #[cfg(fail)]
        let inner = handle.into_inner(); //~ E0505
        println!("{}", text);
        #[cfg(not(fail))]
        let inner = handle.into_inner();
        println!("{}", inner);
    });
}
