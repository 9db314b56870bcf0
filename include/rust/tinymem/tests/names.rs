//! Names of objects, visits of all objects, and where and with which bytes objects begin.

use std::collections::HashSet;
use std::mem::{size_of, MaybeUninit};
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use tinymem::{held_pins, mover, AllocError, Handle, Handle32, Name, Pinned, Ref};

// SAFETY of the names that are followed in this file: no handle is dropped or borrowed mutably while a pin by its name
// lasts, except where an object is gone before.
fn read<T: Copy>(name: Name<T>) -> Option<T> {
    unsafe { name.try_pin() }.map(|pin| *pin)
}

fn names_of_freed_objects_name_nothing() -> bool {
    let handles: Vec<_> = (0..1000).map(Handle::new).collect();
    let names: Vec<_> = handles.iter().map(Handle::name).collect();
    assert!(names.iter().enumerate().all(|(i, &name)| read(name) == Some(i) && name.is_live()));
    let left: Vec<_> = handles.into_iter().step_by(2).collect();
    let newer: Vec<_> = (0..1000).map(|i| Handle::new(i + 5000)).collect(); // some in the places of those that went
    for (i, &name) in names.iter().enumerate() {
        assert_eq!(read(name), if i % 2 == 0 { Some(i) } else { None });
        assert_eq!(name.is_live(), i % 2 == 0);
    }
    assert_eq!((left.len(), held_pins()), (500, 0));
    // Whether a reference, which has no generation, names a newer object.
    let reused = names.iter().skip(1).step_by(2).filter_map(|name| name.to_ref()?.name());
    reused.filter(|name| newer.iter().any(|handle| name.names(handle))).count() > 0
}

#[test]
fn a_name_knows_whether_its_object_is_alive() {
    // The library may have taken all freed places for itself when the newer objects are made.
    assert!((0..100).any(|_| names_of_freed_objects_name_nothing()), "control: no place was used again");
}

#[test]
fn a_pin_by_name_keeps_its_object_in_place() {
    let mut handle = Handle::new(String::from("first"));
    let name = handle.name();
    {
        let pin = unsafe { name.try_pin() }.unwrap();
        let address = Pinned::as_ptr(&pin);
        assert_eq!(held_pins(), 1);
        tinymem::compact();
        assert_eq!(Pinned::as_ptr(&handle.pin()), address);
    }
    unsafe { name.try_pin_mut() }.unwrap().push_str(", second");
    handle.pin_mut().push('!');
    assert_eq!((handle.to_string(), held_pins()), ("first, second!".into(), 0));
}

#[test]
fn names_are_numbers() {
    let (a, b) = (Handle::new(1u32), Handle::new(2u32));
    let names: HashSet<Name<u32>> = [a.name(), b.name(), a.name()].into();
    assert_eq!(names.len(), 2);
    assert!(a.name().names(&a) && !a.name().names(&b));
    assert_eq!(Name::from_bits(a.bits()), Some(a.name()));
    assert_eq!(Name::<u32>::from_bits(0), None);
    assert_eq!(a.name().to_ref(), Some(a.to_ref()));
    assert_eq!(a.to_ref().name(), Some(a.name()));
    assert_eq!((size_of::<Name<String>>(), size_of::<Option<Name<String>>>()), (8, 8));
    for bits in [1, 2, 1 << 31, 1 << 32, 1 << 63, u64::MAX, (1 << 47) - 1, &a as *const _ as u64] {
        let name = Name::<u32>::from_bits(bits).unwrap();
        assert!(!name.is_live() && !name.is_live_of_size(4), "{:?}", name);
        assert!(Ref::<u32>::from_bits(bits as u32).map_or(true, |r| r.name() != Some(name)));
    }
}

#[test]
fn an_object_finds_its_own_name() {
    struct Node {
        value: u32,
        parent: Option<Name<Node>>,
    }
    impl Node {
        fn child(&self) -> Node {
            Node { value: self.value + 1, parent: Name::of(self) }
        }
    }
    let parent = Handle::new(Node { value: 1, parent: None });
    let child = Handle::new(parent.with(Node::child));
    assert_eq!((child.pin().value, child.pin().parent), (2, Some(parent.name())));
    assert!(Node { value: 1, parent: None }.child().parent.is_none(), "on the stack");
    let boxed = Box::new(Node { value: 1, parent: None });
    assert!(boxed.child().parent.is_none(), "in a box");
    let list: Handle<[u64]> = Handle::from([1, 2, 3]);
    assert!(list.with(|list| Name::of(&list[1])).is_none(), "in the middle of an object");
    assert_eq!(list.with(|list| Name::of(&list[0])).unwrap().to_bits(), list.bits());
}

#[test]
fn the_bytes_of_any_object_can_be_read() {
    let text: Handle<str> = "some bytes".into();
    let name = Name::<()>::from_bits(text.bits()).unwrap();
    {
        let bytes = unsafe { name.try_pin_bytes() }.unwrap();
        assert_eq!(bytes.len(), text.usable_size());
        let first: Vec<u8> = bytes[..10].iter().map(|byte| unsafe { byte.assume_init() }).collect();
        assert_eq!(first, b"some bytes");
    }
    assert!(name.is_live_of_size(10) && !name.is_live_of_size(1000));
    drop(text);
    assert!(unsafe { name.try_pin_bytes() }.is_none() && !name.is_live_of_size(10));
}

/// How often each of these is visited, and how many visits there are. Other tests have objects, too.
fn visits(names: &[Name<u64>]) -> (Vec<usize>, usize) {
    let mut all = Vec::new();
    let count = tinymem::each(|name| {
        all.push(name.cast::<u64>());
        Continue(())
    });
    assert_eq!(count, all.len());
    all.sort();
    (
        names
            .iter()
            .map(|name| all.iter().skip(all.partition_point(|n| n < name)).take_while(|n| *n == name).count())
            .collect(),
        count,
    )
}

#[test]
fn each_object_is_visited_once() {
    let handles: Vec<_> = (0..3000u64).map(Handle::new).collect();
    let names: Vec<_> = handles.iter().map(Handle::name).collect();
    assert_eq!(visits(&names).0, vec![1; 3000]);
    let left: Vec<_> = handles.into_iter().step_by(3).collect();
    tinymem::compact();
    let (counts, all) = visits(&names);
    assert!(counts.iter().enumerate().all(|(i, &n)| n == usize::from(i % 3 == 0)), "control: those that went are not");
    assert!(all >= left.len());
}

#[test]
fn a_visitor_ends_the_visits_and_may_do_what_it_likes() {
    let handles: Vec<_> = (0..100u64).map(Handle::new).collect();
    let mut left = 10;
    let count = tinymem::each(|_| {
        left -= 1;
        if left == 0 {
            Break(())
        } else {
            Continue(())
        }
    });
    assert_eq!((count, left), (10, 0));
    let (mut made, mut inner) = (Vec::new(), 0);
    tinymem::each(|name| {
        if made.len() < 50 {
            made.push(Handle::new(name.to_bits()));
            inner += tinymem::each(|_| Break(()));
            tinymem::compact();
        }
        Continue(())
    });
    assert_eq!((made.len(), inner, handles.len()), (50, 50, 100));
}

#[test]
fn a_panic_of_a_visitor_ends_the_visits_and_goes_on() {
    let handles: Vec<_> = (0..100u64).map(Handle::new).collect();
    let mut visited = 0;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        tinymem::each(|_| {
            visited += 1;
            assert_ne!(visited, 7, "on purpose");
            Continue(())
        })
    }));
    let why = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(why.contains("on purpose"), "{}", why);
    assert_eq!(visited, 7, "visits after the panic");
    // The control: without a panic it gets on, also after one.
    let calm = catch_unwind(AssertUnwindSafe(|| tinymem::each(|_| Continue(()))));
    assert!(calm.unwrap() >= handles.len());
}

#[test]
fn objects_are_visited_while_others_come_and_go() {
    let handles: Vec<_> = (0..2000u64).map(Handle::new).collect();
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|t| {
        for _ in 0..2 {
            t.spawn(|| {
                while !stop.load(Relaxed) {
                    drop((0..500).map(|i| Handle::new([i; 3])).collect::<Vec<_>>());
                    rounds.fetch_add(1, Relaxed);
                }
            });
        }
        let mut mine = HashSet::new();
        while rounds.load(Relaxed) < 50 {
            mine.clear();
            tinymem::each(|name| {
                assert!(mine.insert(name), "visited twice");
                Continue(())
            });
            assert!(handles.iter().all(|h| mine.contains(&h.name().cast())));
        }
        stop.store(true, Relaxed);
    });
}

/// How many of new objects share a page with the one beside which they belong.
fn together(make: impl Fn(&Handle<[u64; 8]>) -> Handle<[u64; 8]>) -> usize {
    let _paused = mover::pause();
    let all: Vec<_> = (0..20_000u64).map(|i| Handle::new([i; 8])).collect();
    let parents: Vec<_> = all.into_iter().step_by(2).collect();
    let page = |h: &Handle<[u64; 8]>| Pinned::as_ptr(&h.pin()) as usize / 4096;
    let children: Vec<_> = (0..1000).map(|i| make(&parents[i * 7919 % parents.len()])).collect();
    (0..1000).filter(|&i| page(&children[i]) == page(&parents[i * 7919 % parents.len()])).count()
}

#[test]
fn an_object_near_another_is_in_its_page() {
    let near = together(|parent| Handle::new_near([0; 8], parent));
    let plain = together(|_| Handle::new([0; 8]));
    println!("of 1000 objects {} are beside the other one, and {} that are placed anywhere", near, plain);
    assert!(near > 500, "{}", near);
    assert!(plain < near / 2, "control: {}", plain);
}

#[test]
fn values_of_all_kinds_are_made_near_others() {
    #[repr(align(128))]
    struct Wide(u8);
    let text: Handle<str> = "near".into();
    let wide = Handle::new_near(Wide(3), &text);
    assert_eq!((wide.pin().0, Pinned::as_ptr(&wide.pin()) as usize % 128), (3, 0));
    let string = Handle::try_new_near(String::from("owns"), &wide).unwrap();
    let parent = Handle32::new((1, string));
    let child = Handle32::new_near(vec![1, 2], &parent);
    assert_eq!((child.pin().len(), parent.pin().1.pin().len()), (2, 4));
    let empty = Handle::new_near((), &text);
    empty.get();
    assert_eq!(Handle32::try_new_near([7u8; 100_000], &child).unwrap().pin()[99_999], 7);
    #[repr(align(4194304))]
    struct Huge;
    let huge = move || assert_eq!(Handle::try_new_near(Huge, &wide).err(), Some(AllocError::Alignment));
    thread::Builder::new().stack_size(64 << 20).spawn(huge).unwrap().join().unwrap();
}

#[test]
fn zeroed_values_are_zero() {
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Line([u8; 64]);
    // SAFETY: an array of bytes.
    unsafe impl tinymem::Zeroable for Line {}
    let dirty = |n| {
        let mut all: Vec<_> = (0..20).map(|_| Handle::<[u8]>::zeroed_slice(n)).collect();
        all.iter_mut().for_each(|handle| handle.pin_mut().fill(0xa5));
    };
    for n in [1, 15, 16, 17, 64, 100, 1000, 5000, 40_000, 300_000] {
        dirty(n);
        for _ in 0..30 {
            let zeroed = Handle::<[u8]>::zeroed_slice(n);
            assert!(zeroed.len() == n && zeroed.pin().iter().all(|&byte| byte == 0), "{}", n);
        }
        let lines = Handle::<[Line]>::zeroed_slice(n / 64);
        assert_eq!(lines.pin().as_ptr() as usize % 64, 0);
        assert!(lines.pin().iter().all(|line| line.0 == [0; 64]));
    }
    // The control: behind the last value of an object are bytes of an older one.
    let remains = || {
        dirty(1000);
        let other = Handle::<[u8]>::from_fn(999, |_| 0);
        let bytes = unsafe { Name::<()>::from_bits(other.bits()).unwrap().try_pin_bytes() }.unwrap();
        // SAFETY: the object has that byte, and it is never written to.
        unsafe { bytes.as_ptr().cast::<u8>().add(999).read_volatile() == 0xa5 }
    };
    assert!((0..1000).any(|_| remains()), "control: a block that was used is not zero by itself");
}

#[test]
fn zeroed_values_of_unusual_types_and_sizes_work() {
    let image = Handle::<[[u32; 1024]; 1024]>::zeroed();
    assert_eq!(image.pin()[1023][1023], 0);
    let tuple = Handle::<(u8, f64, [bool; 3], Option<std::ptr::NonNull<u8>>)>::zeroed();
    assert_eq!(tuple.get(), (0, 0.0, [false; 3], None));
    assert_eq!(Handle::<AtomicU64>::zeroed().pin().fetch_add(1, Relaxed), 0);
    assert_eq!(Handle::<[u64]>::zeroed_slice(0).len(), 0);
    assert_eq!(Handle::<[()]>::zeroed_slice(usize::MAX).len(), usize::MAX);
    assert_eq!(Handle::<[u64]>::try_zeroed_slice(usize::MAX / 4).err(), Some(AllocError::OutOfMemory));
    assert_eq!(Handle::<[u8]>::try_zeroed_slice(isize::MAX as usize).err(), Some(AllocError::OutOfMemory));
    let mut grown = Handle::<[u8]>::zeroed_slice(3);
    grown.resize_with(1000, || 9);
    assert_eq!((grown.pin()[2], grown.pin()[999]), (0, 9));
    assert!(Handle::<u64>::try_zeroed().is_ok());
}

#[test]
fn what_was_written_piece_by_piece_is_a_value() {
    let mut text = Handle::<MaybeUninit<String>>::zeroed();
    text.pin_mut().write(String::from("written"));
    // SAFETY: just written.
    let text: Handle<String> = unsafe { text.assume_init() };
    assert_eq!(*text.pin(), "written");
    let mut words = Handle::<[MaybeUninit<String>]>::zeroed_slice(100);
    words.pin_mut().iter_mut().enumerate().for_each(|(i, word)| *word = MaybeUninit::new(i.to_string()));
    // SAFETY: all are written.
    let words: Handle<[String]> = unsafe { words.assume_init() };
    assert_eq!((words.len(), words.pin()[99].as_str()), (100, "99"));
}
