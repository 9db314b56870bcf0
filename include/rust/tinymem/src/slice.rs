//! Slices and strings: an object that holds any number of values.

use crate::error::{failed, AllocError};
use crate::handle::Handle;
use crate::raw::{allocate, FreeAtEnd, RawPin};
use crate::sys;
use core::marker::PhantomData;
use core::mem::{align_of, size_of, ManuallyDrop};
use core::ptr::{self, NonNull};

/// An object that is being filled. When it is dropped, so are the values that it has so far.
struct Builder<T> {
    bits: u64,
    len: usize,
    room: usize,
    _owns: PhantomData<T>,
}

fn bytes_of<T>(n: usize) -> Result<usize, AllocError> {
    size_of::<T>().checked_mul(n).ok_or(AllocError::OutOfMemory)
}

impl<T> Builder<T> {
    fn with_room(room: usize) -> Result<Self, AllocError> {
        let bits = allocate(align_of::<T>(), bytes_of::<T>(room)?)?;
        let room = if size_of::<T>() == 0 { usize::MAX } else { room };
        Ok(Builder { bits, len: 0, room, _owns: PhantomData })
    }

    fn of(handle: Handle<[T]>) -> Self {
        let len = handle.len();
        let room = if size_of::<T>() == 0 { usize::MAX } else { len };
        Builder { bits: ManuallyDrop::new(handle).bits(), len, room, _owns: PhantomData }
    }

    /// Gives the object room for exactly that many values, not below `len`.
    fn set_room(&mut self, room: usize) -> Result<(), AllocError> {
        if room == self.room || size_of::<T>() == 0 {
            return Ok(());
        }
        // Not 0 bytes, for which the object would be freed.
        let size = bytes_of::<T>(room)?.max(1);
        // SAFETY: the builder owns the object, and no reference into it exists. To resize it is to move the values.
        if unsafe { sys::tm_realloc(self.bits, size) } == 0 {
            return Err(AllocError::OutOfMemory);
        }
        self.room = room;
        Ok(())
    }

    fn push(&mut self, value: T) -> Result<(), AllocError> {
        if self.len == self.room {
            self.set_room(self.room.saturating_mul(2).max(4))?;
        }
        // SAFETY: the builder owns the object, and there is room behind the last value.
        unsafe {
            let (_pin, address) = RawPin::new(self.bits);
            address.as_ptr().cast::<T>().add(self.len).write(value);
        }
        self.len += 1;
        Ok(())
    }

    /// Drops the values behind the first `len`.
    fn truncate(&mut self, len: usize) {
        // First: should a drop panic, none is dropped again.
        let old = core::mem::replace(&mut self.len, len);
        // SAFETY: these values are there, and nobody has them any more.
        unsafe {
            let (_pin, address) = RawPin::new(self.bits);
            let first = address.as_ptr().cast::<T>().add(len);
            ptr::slice_from_raw_parts_mut(first, old - len).drop_in_place();
        }
    }

    fn finish(mut self) -> Handle<[T]> {
        let _ = self.set_room(self.len); // a builder with too much room will do
        let this = ManuallyDrop::new(self);
        let raw = ptr::slice_from_raw_parts_mut(this.bits as usize as *mut T, this.len);
        // SAFETY: the builder owned the object, which holds that many values.
        unsafe { Handle::from_raw(raw) }
    }
}

impl<T> Drop for Builder<T> {
    fn drop(&mut self) {
        let _free = FreeAtEnd(self.bits);
        self.truncate(0);
    }
}

impl<T> Handle<[T]> {
    /// `len` values, each made by `make` from its index.
    ///
    /// ```
    /// let squares = tinymem::Handle::from_fn(5, |i| i * i);
    /// assert_eq!(squares.pin()[4], 16);
    /// ```
    ///
    /// # Panics
    /// As [`Handle::new`]. When `make` panics, the values made so far are dropped.
    pub fn from_fn(len: usize, make: impl FnMut(usize) -> T) -> Self {
        Handle::try_from_fn(len, make).unwrap_or_else(|why| failed(why))
    }

    /// As [`from_fn`](Handle::from_fn), with an error in place of a panic.
    pub fn try_from_fn(len: usize, mut make: impl FnMut(usize) -> T) -> Result<Self, AllocError> {
        let mut builder = Builder::with_room(len)?;
        for i in 0..len {
            builder.push(make(i))?;
        }
        Ok(builder.finish())
    }

    /// Count of values. The object need not be pinned.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw().len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes the count of values: drops those behind the first `len`, or adds what `make` returns. The object keeps
    /// its handle.
    ///
    /// # Panics
    /// Without memory; the values are then as they were. When `make` panics, the values added so far stay.
    pub fn resize_with(&mut self, len: usize, mut make: impl FnMut() -> T) {
        // In pieces, so that `self` holds what the builder has at whatever point it is left.
        struct Restore<'a, T>(&'a mut Handle<[T]>, Option<Builder<T>>);
        impl<T> Drop for Restore<'_, T> {
            fn drop(&mut self) {
                if let Some(builder) = self.1.take() {
                    // SAFETY: the old handle was given up to the builder: it is overwritten, not dropped.
                    unsafe { ptr::write(self.0, builder.finish()) }
                }
            }
        }
        // SAFETY: a bitwise copy; Restore overwrites the original, which nobody uses meanwhile.
        let builder = Builder::of(unsafe { ptr::read(self) });
        let mut state = Restore(self, Some(builder));
        let builder = state.1.as_mut().expect("just set");
        if len < builder.len {
            return builder.truncate(len);
        }
        builder.set_room(len.max(1)).unwrap_or_else(|why| failed(why));
        while builder.len < len {
            builder.push(make()).unwrap_or_else(|why| failed(why));
        }
    }

    /// Drops the values behind the first `len`, and gives their room back. Nothing happens when there are not more.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.resize_with(len, || unreachable!());
        }
    }
}

impl<T: Clone> From<&[T]> for Handle<[T]> {
    fn from(values: &[T]) -> Self {
        Handle::from_fn(values.len(), |i| values[i].clone())
    }
}

impl<T, const N: usize> From<[T; N]> for Handle<[T]> {
    fn from(values: [T; N]) -> Self {
        crate::unsize!(Handle::new(values) => [T])
    }
}

impl<T> FromIterator<T> for Handle<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values = values.into_iter();
        let mut builder = Builder::with_room(values.size_hint().0).unwrap_or_else(|why| failed(why));
        for value in values {
            builder.push(value).unwrap_or_else(|why| failed(why));
        }
        builder.finish()
    }
}

impl<T: Clone> Clone for Handle<[T]> {
    fn clone(&self) -> Self {
        self.with(|values| Handle::from(values))
    }
}

impl<T> Default for Handle<[T]> {
    fn default() -> Self {
        Handle::from_fn(0, |_| unreachable!())
    }
}

impl Handle<str> {
    /// Length in bytes. The object need not be pinned.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: not null, since the handle is not.
        unsafe { NonNull::new_unchecked(self.raw().as_ptr() as *mut [u8]) }.len()
    }

    /// Whether the string is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Handle<str> {
    fn from(text: &str) -> Self {
        let raw = Handle::<[u8]>::from(text.as_bytes()).into_raw();
        // SAFETY: the handle was just given up; its bytes are those of a str.
        unsafe { Handle::from_raw(raw as *mut str) }
    }
}

impl From<Handle<str>> for Handle<[u8]> {
    fn from(text: Handle<str>) -> Self {
        // SAFETY: every str is bytes.
        unsafe { Handle::from_raw(text.into_raw() as *mut [u8]) }
    }
}

impl Clone for Handle<str> {
    fn clone(&self) -> Self {
        self.with(|values| Handle::from(values))
    }
}

impl Default for Handle<str> {
    fn default() -> Self {
        Handle::from("")
    }
}

#[cfg(feature = "std")]
impl<T> From<std::vec::Vec<T>> for Handle<[T]> {
    /// Moves the values into a new object.
    fn from(values: std::vec::Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

#[cfg(feature = "std")]
impl From<std::string::String> for Handle<str> {
    fn from(text: std::string::String) -> Self {
        Handle::from(&*text)
    }
}
