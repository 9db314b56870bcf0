use tinymem::{mover, Handle};

fn main() {
    let handle = Handle::new(1);
    let paused = mover::pause();
    let number = paused.get(&handle);
    #[cfg(fail)]
    drop(paused); //~ E0505
    println!("{}", number);
}
