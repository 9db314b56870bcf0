//! Closures that C calls. A panic must not unwind through C: it is caught where C enters, and goes on where C has
//! returned.

#[cfg(feature = "std")]
mod catch {
    use std::any::Any;
    use std::boxed::Box;
    use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

    /// What a panic carries.
    pub(crate) type Payload = Box<dyn Any + Send>;

    /// Calls `f`; a panic is an error. The caller resumes the panic, or makes sure that nobody relies on what `f` has
    /// left half done.
    pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
        catch_unwind(AssertUnwindSafe(f))
    }

    pub(crate) fn resume(payload: Payload) -> ! {
        resume_unwind(payload)
    }
}

#[cfg(not(feature = "std"))]
mod catch {
    use crate::sys;
    use core::convert::Infallible;

    /// Panics cannot be caught without std.
    pub(crate) type Payload = Infallible;

    /// Ends the process when it is dropped: on the way of a panic.
    struct Abort;

    impl Drop for Abort {
        fn drop(&mut self) {
            // SAFETY: no demands.
            unsafe { sys::abort() }
        }
    }

    pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
        let abort = Abort;
        let result = f();
        core::mem::forget(abort);
        Ok(result)
    }

    pub(crate) fn resume(payload: Payload) -> ! {
        match payload {}
    }
}

pub(crate) use catch::{guarded, resume, Payload};
