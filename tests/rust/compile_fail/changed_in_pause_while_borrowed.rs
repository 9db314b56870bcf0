use tinymem::{mover, Handle};

fn main() {
    let mut handle = Handle::new(1);
    let paused = mover::pause();
    let number = paused.get(&handle);
    #[cfg(fail)]
    handle.set(2); //~ E0502
    println!("{}", number);
    #[cfg(not(fail))]
    handle.set(2);
}
