use tinymem::{Handle, PinnedMut};

/// The guard must not take a value that lives shorter than the handle's type says.
#[cfg(fail)]
fn put<'a>(mut guard: PinnedMut<'_, &'static str>, text: &'a str) {
    let guard: &mut PinnedMut<'_, &'a str> = &mut guard; //~ error
    **guard = text;
}

#[cfg(not(fail))]
fn put<'a>(mut guard: PinnedMut<'_, &'a str>, text: &'a str) {
    let guard: &mut PinnedMut<'_, &'a str> = &mut guard;
    **guard = text;
}

fn main() {
    let mut handle = Handle::new("text");
    put(handle.pin_mut(), "other");
}
