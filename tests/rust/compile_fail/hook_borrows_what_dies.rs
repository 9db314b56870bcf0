use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tinymem::mover;

static MOVED: AtomicUsize = AtomicUsize::new(0);

fn main() {
    let local = AtomicUsize::new(0);
    #[cfg(fail)]
    let sum = &local; //~ E0597
    #[cfg(not(fail))]
    let sum = &MOVED;
    mover::set_batch_hook(move |batch| {
        sum.fetch_add(batch.moved_bytes, Relaxed);
    });
    println!("{:?}", local);
}
