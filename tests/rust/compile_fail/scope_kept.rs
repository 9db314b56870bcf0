use tinymem::{scope, Handle, Scope};

fn main() {
    let handle = Handle::new(1);
    let mut kept: Option<&Scope> = None;
    scope(|s| {
        #[cfg(fail)]
        kept.replace(s); //~ E0521
        println!("{}", s.get(&handle));
    });
    println!("{}", kept.is_some());
}
