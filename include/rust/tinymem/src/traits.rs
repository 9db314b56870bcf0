//! What a handle does as its value does: compare, hash, print, clone.

use crate::handle::Handle;
use crate::handle32::Handle32;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

impl<T> From<T> for Handle<T> {
    fn from(value: T) -> Self {
        Handle::new(value)
    }
}

impl<T: Default> Default for Handle<T> {
    fn default() -> Self {
        Handle::new_with(T::default)
    }
}

impl<T: Clone> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle::new_with(|| self.with(T::clone))
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| value.fmt(f))
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| value.fmt(f))
    }
}

impl<T: ?Sized + PartialEq> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.with(|a| other.with(|b| a == b))
    }
}

impl<T: ?Sized + Eq> Eq for Handle<T> {}

impl<T: ?Sized + PartialOrd> PartialOrd for Handle<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.with(|a| other.with(|b| a.partial_cmp(b)))
    }
}

impl<T: ?Sized + Ord> Ord for Handle<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.with(|a| other.with(|b| a.cmp(b)))
    }
}

impl<T: ?Sized + Hash> Hash for Handle<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.with(|value| value.hash(state))
    }
}

impl<T: ?Sized> fmt::Pointer for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.bits())
    }
}

impl<T: fmt::Display> fmt::Display for Handle32<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| value.fmt(f))
    }
}

impl<T: PartialOrd> PartialOrd for Handle32<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.with(|a| other.with(|b| a.partial_cmp(b)))
    }
}

impl<T: Ord> Ord for Handle32<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.with(|a| other.with(|b| a.cmp(b)))
    }
}

impl<T: Hash> Hash for Handle32<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.with(|value| value.hash(state))
    }
}
