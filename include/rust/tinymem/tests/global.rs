//! `Tinymem` as the global allocator: of this whole program.
#![cfg(feature = "malloc")]

use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{mpsc, Arc};
use std::thread;
use tinymem::Tinymem;

#[global_allocator]
static HEAP: Tinymem = Tinymem;

const ROUNDS: u64 = if cfg!(debug_assertions) { 30_000 } else { 200_000 };

/// A generator of pseudo-random numbers (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A block with its layout and the byte that fills it.
struct Block(*mut u8, Layout, u8);

// SAFETY: the block is owned.
unsafe impl Send for Block {}

impl Block {
    fn new(layout: Layout, fill: u8, zeroed: bool) -> Block {
        // SAFETY: the size is not 0.
        let p = unsafe {
            if zeroed {
                HEAP.alloc_zeroed(layout)
            } else {
                HEAP.alloc(layout)
            }
        };
        assert!(!p.is_null());
        assert_eq!(p as usize % layout.align(), 0, "{:?}", layout);
        let block = Block(p, layout, if zeroed { 0 } else { fill });
        if zeroed {
            block.check();
        }
        // SAFETY: the block has that size.
        unsafe { p.write_bytes(fill, layout.size()) };
        Block(p, layout, fill)
    }

    fn check(&self) {
        // SAFETY: the block has that size and was written.
        let bytes = unsafe { std::slice::from_raw_parts(self.0, self.1.size()) };
        assert!(bytes.iter().all(|&b| b == self.2), "{:?}", self.1);
    }

    fn resize(self, size: usize) -> Block {
        // SAFETY: the size is not 0, the block is live and has that layout.
        let p = unsafe { HEAP.realloc(self.0, self.1, size) };
        let (kept, layout) = (self.1.size().min(size), Layout::from_size_align(size, self.1.align()).unwrap());
        assert!(!p.is_null());
        assert_eq!(p as usize % layout.align(), 0, "{:?}", layout);
        Block(p, Layout::from_size_align(kept, 1).unwrap(), self.2).check();
        // SAFETY: the block has that size.
        unsafe { p.write_bytes(self.2, size) };
        Block(p, layout, self.2)
    }

    fn free(self) {
        self.check();
        // SAFETY: live, and with that layout.
        unsafe { HEAP.dealloc(self.0, self.1) }
    }
}

fn random_layout(state: &mut u64) -> Layout {
    let align = 1 << (next(state) % if next(state) % 50 == 0 { 17 } else { 8 });
    let limit = [64, 1024, 40_000, 400_000][(next(state).trailing_zeros() as usize / 3).min(3)];
    Layout::from_size_align((next(state) % limit + 1) as usize, align).unwrap()
}

/// Blocks of all kinds, some of which end on the next thread.
fn stress(seed: u64, send: &mpsc::Sender<Block>, receive: &mpsc::Receiver<Block>) {
    let (mut state, mut blocks) = (seed, Vec::<Block>::new());
    for _ in 0..ROUNDS {
        let r = next(&mut state);
        let i = (r >> 8) as usize % blocks.len().max(1);
        match r % 8 {
            0..=2 => blocks.push(Block::new(random_layout(&mut state), r as u8, r & 64 != 0)),
            3 | 4 if !blocks.is_empty() => blocks.swap_remove(i).free(),
            5 if !blocks.is_empty() => drop(send.send(blocks.swap_remove(i)).map_err(|e| e.0.free())),
            6 if !blocks.is_empty() => {
                let block = blocks.swap_remove(i).resize(random_layout(&mut state).size());
                blocks.push(block);
            }
            _ => receive.try_iter().for_each(Block::free),
        }
        if blocks.len() > 500 {
            blocks.drain(..250).for_each(Block::free);
        }
    }
    blocks.into_iter().for_each(Block::free);
}

#[test]
fn blocks_keep_their_bytes_under_threads() {
    let threads = 4;
    let (mut senders, mut receivers): (Vec<_>, VecDeque<_>) = (0..threads).map(|_| mpsc::channel()).unzip();
    receivers.rotate_left(1); // each sends to its neighbour
    thread::scope(|t| {
        for (k, receive) in receivers.into_iter().enumerate() {
            let send = senders.remove(0);
            t.spawn(move || {
                stress(k as u64 + 1, &send, &receive);
                drop(send);
                receive.into_iter().for_each(Block::free);
            });
        }
    });
}

#[test]
fn small_blocks_with_large_alignment_are_aligned() {
    for align in (0..22).map(|k| 1usize << k) {
        for size in [1, 2, 8, 15, 16, 17, 100, 5000] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let blocks: Vec<_> = (0..4).map(|k| Block::new(layout, k, k % 2 == 0)).collect();
            blocks.into_iter().for_each(|b| b.resize(size * 3).resize(1).free());
        }
    }
}

#[test]
fn what_cannot_be_is_null() {
    let layout = Layout::from_size_align(isize::MAX as usize - 4096, 8).unwrap();
    let wide = Layout::from_size_align(isize::MAX as usize - 4096, 4096).unwrap();
    // Volatile, since the compiler may leave out a malloc whose block is not used.
    // SAFETY: a reference is good for a read.
    let is_null = |p: *mut u8| unsafe { std::ptr::read_volatile(&p) }.is_null();
    // SAFETY: the sizes are not 0.
    unsafe {
        assert!(is_null(HEAP.alloc(layout)) && is_null(HEAP.alloc_zeroed(layout)));
        assert!(is_null(HEAP.alloc(wide)) && is_null(HEAP.alloc_zeroed(wide)));
    }
    let mut bytes = vec![1u8; 100];
    assert!(bytes.try_reserve(isize::MAX as usize - 5000).is_err());
    assert_eq!(bytes, [1; 100]);
}

fn words_of(thread: u64, map: &mut HashMap<String, Vec<u64>>) {
    let mut state = thread + 99;
    for i in 0..ROUNDS / 2 {
        let word = format!("word-{}", next(&mut state) % 5000);
        map.entry(word).or_default().push(i);
        if i % 1000 == 999 {
            map.retain(|_, list| list.len() < 40);
        }
    }
}

#[test]
fn collections_work_under_threads() {
    let maps: Vec<HashMap<String, Vec<u64>>> = thread::scope(|t| {
        let count = |k| move || (0..1).fold(HashMap::new(), |mut map, _| (words_of(k, &mut map), map).1);
        let threads: Vec<_> = (0..4).map(|k| t.spawn(count(k))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for map in maps {
        let sorted: BTreeMap<_, _> = map.iter().collect();
        assert!(sorted.len() <= 5000 && sorted.keys().all(|w| w.starts_with("word-")));
        assert!(map.values().all(|list| list.windows(2).all(|w| w[0] < w[1])));
        drop(map); // made by another thread
    }
    let text: Arc<str> = (0..100_000).map(|i| char::from(b'a' + (i % 26) as u8)).collect::<String>().into();
    let total: usize = (0..4).map(|_| text.clone()).map(|t| thread::spawn(move || t.len()).join().unwrap()).sum();
    assert_eq!(total, 400_000);
}
