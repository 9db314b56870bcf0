use std::mem::MaybeUninit;
use tinymem::Handle;

fn main() {
    let text = Handle::<MaybeUninit<u32>>::zeroed();
    #[cfg(fail)]
    let text = text.assume_init(); //~ E0133
    #[cfg(not(fail))]
    // SAFETY: all bytes are zero, which is a number.
    let text = unsafe { text.assume_init() };
    println!("{}", text);
}
