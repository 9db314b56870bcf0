use tinymem::mover;

fn main() {
    #[cfg(fail)]
    let text = std::rc::Rc::new(1);
    #[cfg(not(fail))]
    let text = std::sync::Arc::new(1);
    mover::set_batch_hook(move |_| println!("{}", text)); //~ E0277
}
