//! Visiting all live objects.

use crate::callback::{guarded, resume, Payload};
use crate::name::Name;
use crate::sys;
use core::ffi::c_void;
use core::ops::ControlFlow;

/// Visits the live objects of the process one after the other, those of C code and of other threads too, and returns
/// how many were visited. For snapshots and for figures of one's own. The order has no meaning.
///
/// An object that lives during the whole call is visited once, even if it is moved or resized meanwhile. One that is
/// allocated or freed meanwhile is visited at most once. The visitor may call every function of this crate. To end the
/// visits it returns [`ControlFlow::Break`].
///
/// ```
/// use std::ops::ControlFlow;
/// use tinymem::Handle;
/// let mine = Handle::new([1u8; 1000]);
/// let mut found = false;
/// tinymem::each(|name| {
///     found |= name == mine.name().cast();
///     if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
/// });
/// assert!(found);
/// ```
///
/// The visitor learns names. They tell nothing about types and owners, and to follow one is unsafe.
///
/// # Panics
/// When the visitor panics: the visits end, and the panic goes on. (Without the feature `std` the process ends.)
pub fn each<F: FnMut(Name<()>) -> ControlFlow<()>>(visit: F) -> usize {
    let mut visits = Visits { visit, panic: None };
    let context: *mut Visits<F> = &mut visits;
    // SAFETY: `call` gets the context for which it is made, which outlives tm_each. Nothing unwinds from `call`.
    let count = unsafe { sys::tm_each(call::<F>, context.cast()) };
    match visits.panic {
        Some(payload) => resume(payload),
        None => count,
    }
}

struct Visits<F> {
    visit: F,
    panic: Option<Payload>,
}

/// # Safety
/// `context` is a `Visits<F>`, which nobody else uses meanwhile.
unsafe extern "C" fn call<F: FnMut(Name<()>) -> ControlFlow<()>>(h: u64, context: *mut c_void) -> bool {
    let visits = &mut *context.cast::<Visits<F>>();
    let name = match Name::from_bits(h) {
        Some(name) => name,
        None => return true, // never: no object has the handle of nothing
    };
    match guarded(|| (visits.visit)(name)) {
        Ok(flow) => flow.is_continue(),
        Err(payload) => {
            visits.panic = Some(payload);
            false
        }
    }
}
