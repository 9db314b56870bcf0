//! word_count - counts words, and forgets those that occur once.
//!
//!     cargo run --release [FILE...]        without files it makes up a text
//!
//! Each word is an object of the movable heap, the table is on the raw heap, and tinymem serves both. Most words of a
//! text occur once. When they go, the others are left with holes between them; then they move together, and the holes
//! go back to the kernel.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use tinymem::{scope, Handle, Tinymem};

#[global_allocator]
static HEAP: Tinymem = Tinymem;

struct Entry {
    word: Handle<str>,
    count: u64,
}

/// Words with their counts: open addressing, at most three quarters full, a power of two slots.
#[derive(Default)]
struct Words {
    slots: Vec<Option<Entry>>,
    used: usize,
}

fn hash(word: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    hasher.finish() as usize
}

/// All slots, in the order in which a word is looked for.
fn probes(hash: usize, slots: usize) -> impl Iterator<Item = usize> {
    (0..slots).map(move |i| hash.wrapping_add(i) & (slots - 1))
}

impl Words {
    fn add(&mut self, word: &str, count: u64) {
        let slot = self.find(word);
        match &mut self.slots[slot] {
            Some(entry) => entry.count += count,
            empty => {
                *empty = Some(Entry { word: word.into(), count });
                self.used += 1;
            }
        }
    }

    /// The slot of the word, or the one where it belongs. Words are compared where they lie, in a scope.
    fn find(&mut self, word: &str) -> usize {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let is_here = |slot: &Option<Entry>| match slot {
            Some(entry) => scope(|s| s.get(&entry.word) == word),
            None => true,
        };
        probes(hash(word), self.slots.len()).find(|&i| is_here(&self.slots[i])).expect("a quarter is free")
    }

    fn grow(&mut self) {
        self.retain(|_| true);
    }

    /// Keeps the entries that are wanted, in a new table that is at most half full. Only handles are moved: the words
    /// stay where they are.
    fn retain(&mut self, wanted: impl Fn(&Entry) -> bool) {
        let old = std::mem::take(&mut self.slots);
        let size = (old.iter().flatten().filter(|e| wanted(e)).count() * 2 + 8).next_power_of_two();
        self.slots.resize_with(size, || None);
        self.used = 0;
        for entry in old.into_iter().flatten().filter(|e| wanted(e)) {
            let free = probes(entry.word.with(hash), size).find(|&i| self.slots[i].is_none());
            self.slots[free.expect("half is free")] = Some(entry);
            self.used += 1;
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }

    fn total(&self) -> u64 {
        self.entries().map(|e| e.count).sum()
    }
}

fn count_text(words: &mut Words, text: &str) {
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        words.add(&word.to_lowercase(), 1);
    }
}

/// A text of made-up words. The k-th word is about k times as rare as the first: most that occur do so once.
fn made_up_text(words: u64) -> String {
    let (mut text, mut state) = (String::new(), 1u64);
    for _ in 0..words {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); // Knuth's MMIX generator
        let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
        let mut rank = 5e7f64.powf(uniform) as usize;
        while rank > 0 {
            text.push(char::from(b"bcdfgklmnprstvz"[rank % 15]));
            text.push(char::from(b"aeiou"[rank / 15 % 5]));
            rank /= 75;
        }
        text.push(' ');
    }
    text
}

fn print_memory(when: &str) {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let live = tinymem::stats().live_bytes;
    println!("{}: resident {} KiB, live objects {} KiB", when, pages * 4, live / 1024);
}

fn main() -> std::io::Result<()> {
    let mut words = Words::default();
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        count_text(&mut words, &String::from_utf8_lossy(&fs::read(file)?));
    }
    if files.is_empty() {
        count_text(&mut words, &made_up_text(1_500_000));
    }
    println!("{} words, {} different ones", words.total(), words.used);

    let once = words.entries().filter(|e| e.count == 1).count();
    let total = words.total();
    words.retain(|e| e.count > 1);
    assert_eq!(words.total(), total - once as u64);
    println!("{} occur once and are forgotten", once);
    HEAP.trim(0);
    print_memory("before compaction");
    tinymem::compact();
    print_memory("after compaction");

    let mut most: Vec<&Entry> = words.entries().collect();
    most.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.word.cmp(&b.word)));
    for entry in most.iter().take(5) {
        println!("{:8} {}", entry.count, entry.word);
    }
    assert!(words.entries().all(|e| e.word.with(|w| w.chars().all(char::is_alphanumeric))));
    Ok(())
}
