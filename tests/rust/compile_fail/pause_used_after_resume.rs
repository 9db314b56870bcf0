use tinymem::{mover, Handle};

fn main() {
    let handle = Handle::new(1);
    let paused = mover::pause();
    #[cfg(not(fail))]
    println!("{}", paused.get(&handle));
    drop(paused);
    #[cfg(fail)]
    println!("{}", paused.get(&handle)); //~ E0382
    println!("{}", handle);
}
