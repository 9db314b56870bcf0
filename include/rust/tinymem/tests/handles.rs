//! What handles do to values: nothing but move them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::{size_of, MaybeUninit};
use std::rc::Rc;
use tinymem::{scope, unsize, AllocError, Handle, Handle32, Pinned, PinnedMut, Ref};

/// Counts how often values are dropped.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Objects with holes between them, so that compaction has something to do. Returns the objects that are left.
fn holes<T>(n: usize, make: impl Fn(usize) -> T) -> Vec<Handle<T>> {
    let all: Vec<Handle<T>> = (0..n).map(|i| Handle::new(make(i))).collect();
    all.into_iter().enumerate().filter(|(i, _)| i % 8 == 0).map(|(_, h)| h).collect()
}

#[test]
fn a_value_survives_its_moves() {
    // The library may have moved all of them already when their addresses are taken: so several times if need be.
    let moved = (0..100).any(|_| {
        let left = holes(80_000, |i| (i, i.to_string()));
        let addresses: Vec<_> = left.iter().map(|h| Pinned::as_ptr(&h.pin())).collect();
        tinymem::compact();
        for (k, h) in left.iter().enumerate() {
            assert_eq!(*h.pin(), (k * 8, (k * 8).to_string()));
        }
        left.iter().zip(&addresses).any(|(h, a)| Pinned::as_ptr(&h.pin()) != *a)
    });
    assert!(moved, "nothing moved: the test shows nothing");
}

#[test]
fn a_pinned_or_locked_value_stays() {
    let left = holes(80_000, |i| i as u64);
    let pins: Vec<_> = left.iter().take(3000).map(Handle::pin).collect(); // more than the first stack of pins holds
    let locks: Vec<_> = left.iter().skip(3000).map(Handle::lock).collect();
    let addresses: Vec<*const u64> =
        pins.iter().map(Pinned::as_ptr).chain(locks.iter().map(tinymem::Locked::as_ptr)).collect();
    tinymem::compact();
    for (k, (h, a)) in left.iter().zip(addresses).enumerate() {
        assert_eq!(Pinned::as_ptr(&h.pin()), a);
        // SAFETY: still pinned.
        assert_eq!(unsafe { *a }, k as u64 * 8);
    }
}

#[test]
fn a_value_is_dropped_once() {
    let drops = Rc::new(Cell::new(0));
    let dropped = || drops.replace(0);
    drop(Handle::new(Counted(drops.clone())));
    assert_eq!(dropped(), 1);
    let inner = Handle::new(Counted(drops.clone())).into_inner();
    assert_eq!(dropped(), 0);
    drop(inner);
    assert_eq!(dropped(), 1);
    let mut h = Handle::new(Counted(drops.clone()));
    h.set(Counted(drops.clone()));
    assert_eq!(dropped(), 1);
    drop(h.replace(Counted(drops.clone())));
    assert_eq!(dropped(), 1);
    drop(Handle::<Counted>::from(Handle32::from(h)));
    assert_eq!(dropped(), 1);
    drop(Handle32::new(Counted(drops.clone())));
    assert_eq!(dropped(), 1);
    drop(unsize!(Handle::new(Counted(drops.clone())) => dyn Dropped));
    assert_eq!(dropped(), 1);
    assert_eq!(Rc::strong_count(&drops), 1);
}

trait Dropped {}
impl Dropped for Counted {}

#[test]
fn bits_come_from_c_and_go_there() {
    let h = Handle::new(String::from("bits"));
    let bits = h.into_bits();
    assert_ne!(bits, 0);
    // SAFETY: given up by into_bits just now.
    let h = unsafe { Handle::<String>::from_bits(bits) };
    assert_eq!((*h.pin()).as_str(), "bits");
    assert_eq!(h.bits(), bits);
}

#[test]
fn sizes_are_as_promised() {
    assert_eq!(size_of::<Handle<[u8; 999]>>(), 8);
    assert_eq!(size_of::<Option<Handle<u8>>>(), 8);
    assert_eq!(size_of::<Handle<[u8]>>(), 16);
    assert_eq!(size_of::<Handle32<u8>>(), 4);
    assert_eq!(size_of::<Option<Handle32<u8>>>(), 4);
    assert_eq!(size_of::<Ref<String>>(), 4);
    assert_eq!(size_of::<Option<Ref<String>>>(), 4);
}

#[test]
fn values_without_size_work() {
    let drops = Rc::new(Cell::new(0));
    let unit = Handle::new(());
    assert_eq!(unit.get(), ());
    let many: Handle<[()]> = (0..1_000_000).map(|_| ()).collect();
    assert_eq!(many.len(), 1_000_000);
    #[repr(align(64))]
    struct Empty;
    let empty = Handle::new(Empty);
    assert_eq!(Pinned::as_ptr(&empty.pin()) as usize % 64, 0);
    thread_local!(static DROPS: Cell<u32> = const { Cell::new(0) });
    struct Zero;
    impl Drop for Zero {
        fn drop(&mut self) {
            DROPS.with(|d| d.set(d.get() + 1));
        }
    }
    let mut zeros: Handle<[Zero]> = Handle::from_fn(10, |_| Zero);
    zeros.truncate(4);
    assert_eq!(DROPS.with(Cell::get), 6);
    zeros.resize_with(5, || Zero);
    drop(zeros);
    assert_eq!(DROPS.with(Cell::get), 11);
    drop(drops);
}

fn aligned<T>(make: impl Fn() -> T) {
    let handles: Vec<_> = (0..200).map(|_| Handle::new(make())).collect();
    let left: Vec<_> = handles.into_iter().enumerate().filter(|(i, _)| i % 5 == 0).map(|(_, h)| h).collect();
    tinymem::compact();
    for h in &left {
        assert_eq!(Pinned::as_ptr(&h.pin()) as usize % std::mem::align_of::<T>(), 0);
    }
}

#[test]
fn alignment_holds_after_moves() {
    #[repr(align(32))]
    struct A32(u8);
    #[repr(align(256))]
    struct A256(u8);
    #[repr(align(8192))]
    struct A8192(u8);
    aligned(|| A32(1));
    aligned(|| A256(1));
    aligned(|| A8192(1));
    let sum = A32(1).0 + A256(1).0 + A8192(1).0;
    assert_eq!(sum, 3);
    let mut slice: Handle<[A256]> = (0..3).map(A256).collect();
    slice.resize_with(40, || A256(7));
    assert_eq!(slice.pin().as_ptr() as usize % 256, 0);
    assert_eq!(slice.pin()[2].0, 2);
    assert_eq!(slice.pin()[39].0, 7);
}

#[test]
fn what_cannot_be_allocated_is_an_error() {
    #[repr(align(4194304))]
    struct Huge;
    let huge = || assert_eq!(Handle::try_new(Huge).err(), Some(AllocError::Alignment));
    // A value on the stack has that alignment too.
    std::thread::Builder::new().stack_size(64 << 20).spawn(huge).unwrap().join().unwrap();
    let none = Handle::<[u64]>::try_from_fn(usize::MAX / 4, |_| 0);
    assert_eq!(none.err(), Some(AllocError::OutOfMemory));
    let none = Handle::<[u8]>::try_from_fn(isize::MAX as usize, |_| 0);
    assert_eq!(none.err().unwrap().to_string(), "tinymem: out of memory");
}

#[test]
fn slices_grow_and_shrink() {
    let mut words: Handle<[String]> = (0..10).map(|i| i.to_string()).collect();
    words.resize_with(1000, || "more".into());
    assert_eq!((words.len(), &*words.pin()[9], &*words.pin()[999]), (1000, "9", "more"));
    words.truncate(3);
    words.truncate(30);
    assert_eq!(*words.pin(), ["0", "1", "2"]);
    words.truncate(0);
    assert!(words.is_empty());
    words.resize_with(1, || "again".into());
    assert_eq!(*words.pin(), ["again"]);
    let clone = words.clone();
    assert_eq!(clone, words);
    assert_eq!(Handle::<[u8]>::default().len(), 0);
    let from_vec: Handle<[u8]> = vec![1, 2, 3].into();
    let from_array: Handle<[u8]> = Handle::from([1, 2, 3]);
    assert_eq!(from_vec, from_array);
    let odd = Handle::<[u8]>::from_iter((0..100).filter(|i| i % 2 == 1)); // of unknown length
    assert_eq!(odd.len(), 50);
}

#[test]
fn strings_work() {
    let text: Handle<str> = "grüße".into();
    assert_eq!((text.len(), &*text.pin()), (7, "grüße"));
    assert_eq!(text.to_string(), "grüße");
    let bytes: Handle<[u8]> = text.clone().into();
    assert_eq!(bytes.len(), 7);
    assert!(Handle::<str>::default().is_empty());
    let words: HashMap<Handle<str>, u32> = [(text.clone(), 1)].into_iter().collect();
    assert_eq!(words[&text], 1);
}

#[test]
fn handles_compare_and_print_as_their_values() {
    let (a, b) = (Handle::new(1), Handle::new(2));
    assert!(a < b && a == a.clone());
    assert_eq!(format!("{} {:?}", a, b), "1 2");
    assert_eq!(a.max(b).get(), 2);
    assert_eq!(Handle::<String>::default().pin().len(), 0);
    assert_eq!(format!("{:?}", Handle32::new("x")), "\"x\"");
}

#[test]
fn small_owners_do_what_handles_do() {
    let mut small = Handle32::new(5u64);
    small.set(7);
    assert_eq!((small.replace(8), small.get(), small.to_string()), (7, 8, "8".into()));
    assert!(small < Handle32::new(9) && small.name().is_live() && small.name().to_ref() == Some(small.to_ref()));
    let set: std::collections::HashSet<Handle32<u64>> = [small.clone(), Handle32::new(8)].into();
    assert_eq!(set.len(), 1);
    let others: Vec<_> = (0..8000).map(Handle32::new).collect();
    let left: Vec<_> = others.into_iter().step_by(8).collect();
    let locks: Vec<_> = left.iter().map(Handle32::lock).collect();
    let addresses: Vec<*const u64> = locks.iter().map(tinymem::Locked::as_ptr).collect();
    tinymem::compact();
    assert!(left.iter().zip(&addresses).all(|(h, a)| Pinned::as_ptr(&h.pin()) == *a));
    std::thread::scope(|t| drop(t.spawn(move || assert_eq!(*locks[999], 7992))));
    drop(left); // ends the program if a lock were still held
    scope(|s| *small.get_mut_in(s) += 1);
    let name = small.name();
    assert_eq!((small.into_inner(), name.is_live()), (9, false));
}

#[test]
fn guards_narrow_to_a_part() {
    let mut pair = Handle::new((1, vec![1, 2, 3]));
    {
        let mut last = PinnedMut::map(pair.pin_mut(), |p| p.1.last_mut().unwrap());
        *last = 9;
    }
    let list = Pinned::map(pair.pin(), |p| &p.1);
    let last = Pinned::map(list, |l| &l[2]);
    assert_eq!((*last, tinymem::stats().pins > 0), (9, true));
}

#[test]
fn scopes_nest_and_give_references() {
    let mut numbers: Vec<Handle<u32>> = (0..100).map(Handle::new).collect();
    let small = Handle32::new(5);
    let sum = scope(|outer| {
        let first = outer.get(&numbers[0]);
        let inner: u32 = scope(|s| numbers.iter().map(|h| *s.get(h)).sum());
        assert_eq!(tinymem::compact(), 0);
        *first + inner + *small.get_in(outer)
    });
    assert_eq!(sum, 4955);
    scope(|s| numbers.iter_mut().for_each(|h| *s.get_mut(h) += 1));
    assert_eq!(numbers[99].get(), 100);
}

#[test]
fn values_with_shared_mutability_move_too() {
    let cells = holes(8000, |i| RefCell::new(vec![i]));
    for h in &cells {
        h.pin().borrow_mut().push(1);
    }
    tinymem::compact();
    assert!(cells.iter().enumerate().all(|(k, h)| *h.pin().borrow() == [k * 8, 1]));
    let uninit = Handle::new(MaybeUninit::<[u8; 100]>::uninit());
    drop(uninit);
}

#[test]
fn references_of_four_bytes_follow_their_objects() {
    struct Node {
        value: usize,
        next: Option<Ref<Node>>,
    }
    let mut nodes = holes(8000, |value| Node { value, next: None });
    let names: Vec<Ref<Node>> = nodes.iter().map(Handle::to_ref).collect();
    for (node, name) in nodes.iter_mut().skip(1).zip(&names) {
        node.pin_mut().next = Some(*name);
    }
    tinymem::compact();
    let (mut sum, mut at) = (0, Some(nodes[nodes.len() - 1].to_ref()));
    scope(|s| {
        while let Some(name) = at {
            // SAFETY: `nodes` keeps all of them alive and unchanged.
            let node = unsafe { s.get_ref(name) };
            sum += node.value;
            at = node.next;
        }
    });
    assert_eq!(sum, (0..8000).step_by(8).sum());
    assert!(names[3].names(&nodes[3]) && !names[3].names(&nodes[4]));
    assert_eq!(Ref::from_bits(names[3].to_bits()), Some(names[3]));
    assert_eq!(Ref::<Node>::from_bits(0), None);
}

#[test]
fn a_long_list_of_small_owners_is_dropped() {
    struct Node {
        next: Option<Handle32<Node>>,
        _drop: Rc<()>,
    }
    let count = Rc::new(());
    let list = (0..5000).fold(None, |next, _| Some(Handle32::new(Node { next, _drop: count.clone() })));
    assert_eq!(Rc::strong_count(&count), 5001);
    let mut length = 0;
    scope(|s| {
        let mut at = list.as_ref();
        while let Some(node) = at {
            length += 1;
            at = node.get_in(s).next.as_ref();
        }
    });
    assert_eq!(length, 5000);
    drop(list); // 5000 pins at a time
    assert_eq!(Rc::strong_count(&count), 1);
}

#[test]
fn handles_shorten_lifetimes_as_references_do() {
    fn shorter<'a>(h: Handle<&'static str>, _: &'a str) -> Handle<&'a str> {
        h
    }
    let local = String::from("local");
    assert_eq!(shorter(Handle::new("static"), &local).get(), "static");
}
