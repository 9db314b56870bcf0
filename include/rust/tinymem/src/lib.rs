//! tinymem for Rust: its `malloc` as the global allocator, and its movable heap as types that the borrow checker
//! understands.
//!
//! An object of the movable heap has no fixed address. A [`Handle`] owns it, and the library moves it while the program
//! runs, so that resident memory stays close to what is live. A reference to the object exists only while it is pinned:
//! a reference that is kept longer does not compile.
//!
//! ```
//! use tinymem::Handle;
//!
//! let mut name = Handle::new(String::from("tiny"));
//! name.pin_mut().push_str("mem");         // pinned for this statement
//! let length = name.with(|s| s.len());    // pinned for the call
//! assert_eq!(length, 7);
//!
//! let pinned = name.pin();                // pinned until `pinned` is dropped
//! assert_eq!(*pinned, "tinymem");
//! ```
//!
//! A reference must not outlive the pin:
//!
//! ```compile_fail,E0716
//! let name = tinymem::Handle::new(String::from("tinymem"));
//! let reference: &str = name.pin().as_str();   // the pin ends here
//! println!("{}", reference);
//! ```
//!
//! # Which to use
//!
//! | to | use | cost |
//! |---|---|---|
//! | look at one object | [`Handle::with`], [`Handle::with_mut`] | a pin: a few instructions and no fence |
//! | keep references to an object for some lines | [`Handle::pin`], [`Handle::pin_mut`] | the same, and one look-up |
//! | look at many objects | [`scope()`] | one load an object |
//! | keep an object in place across threads, or for long | [`Handle::lock`] | an atomic read-modify-write |
//! | store links in 4 bytes | [`Handle32`], an owner, or [`Ref`], unsafe to follow | as above |
//! | know whether an object is still alive | [`Name`], unsafe to follow | as a pin |
//! | visit all objects | [`each()`] | one look-up an object |
//! | place an object beside another | [`Handle::new_near`] | an allocation, at times a lock |
//! | control what moves objects | [`mover`], [`compact()`] | |
//!
//! # Every type can be moved
//!
//! To move a value in Rust is to copy its bytes, whatever its type, and no value may be moved while it is borrowed. All
//! references to an object of this heap come from a pin, a scope or a lock, and the library moves no object that has
//! one. So handles take every type; `T: Unpin` is not asked for. A type that is not `Unpin` may rely on its address
//! only after somebody has made a `Pin<&mut T>` of it. This crate makes none, and it takes unsafe code to make one from
//! a [`PinnedMut`], with a promise that cannot be kept here. Use `Box::pin` for such values.
//!
//! # Panics and leaks
//!
//! A constructor or a destructor that panics leaves no pin behind, and its memory is freed. A guard that is forgotten
//! (`mem::forget`, or a thread-local variable) leaves its object pinned: to drop the handle then on the same thread
//! ends the program with a message, and so does the end of the thread, unless it is the program's first. This keeps
//! references good that were taken from the guard and that other threads may still use.
//!
//! A closure that the library calls ([`each()`], `mover::set_batch_hook`) may panic: the panic does not unwind through
//! the library. That of a visitor goes on when the visits have ended. Without the feature `std` it ends the process.
//!
//! # What C has and this crate does not
//!
//! `tm_pin_reset` and `tm_scope_reset`, since guards and closures end pins and scopes, and a reset would end those of
//! guards that live on. The pool, which is another library.
//!
//! # Linking
//!
//! The build script looks in `TINYMEM_LIB_DIR`, an absolute path, then in the prefix where the crate is installed or in
//! the checkout that it is part of, and then asks pkg-config. Features: `static` links the archive. `malloc` (default) links libtinymem, which serves
//! `malloc` too, and has the global allocator; without it libtinymem-handles is linked, and malloc stays as it is.
//! `std` (default) adds what needs the standard library; without it the crate needs `core` only.

#![no_std]
#![deny(missing_docs)]
#![warn(rust_2018_idioms)]

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
compile_error!("tinymem works on 64-bit Linux with glibc");

#[cfg(feature = "std")]
extern crate std;

mod callback;
mod each;
mod error;
#[cfg(feature = "malloc")]
mod global;
mod handle;
mod handle32;
pub mod mover;
mod name;
mod near;
pub mod options;
mod pinned;
#[cfg(feature = "std")]
pub mod profile;
mod raw;
mod reference;
mod scope;
mod slice;
mod stats;
mod sys;
mod thread_end;
mod traits;
mod zeroed;

pub use each::each;
pub use error::AllocError;
#[cfg(feature = "malloc")]
pub use global::Tinymem;
pub use handle::Handle;
pub use handle32::Handle32;
pub use name::{held_pins, Name};
pub use pinned::{Locked, Pinned, PinnedMut};
pub use raw::MAX_ALIGN;
pub use reference::Ref;
pub use scope::{open_scopes, scope, Scope};
pub use stats::{compact, compact_step, heap_stats, heap_stats_of_classes, idle, stats, version};
#[cfg(feature = "std")]
pub use stats::{heap_classes, json, prometheus};
pub use stats::{write_json, write_prometheus, ClassKind, HeapClass, HeapPart, HeapStats, Stats, HEAP_CLASSES_MAX};
pub use zeroed::Zeroable;

// The program in the README is tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
