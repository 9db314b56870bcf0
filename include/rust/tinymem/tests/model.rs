//! Random operations on handles and on what std has instead, which must agree, while objects move all the time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use tinymem::{scope, Handle, Handle32};

const ROUNDS: u64 = if cfg!(debug_assertions) { 20_000 } else { 50_000 };

/// A generator of pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }

    fn text(&mut self) -> String {
        let (length, letter) = (self.below(40), self.below(26));
        char::from(b'a' + letter as u8).to_string().repeat(length)
    }

    fn texts(&mut self) -> Vec<String> {
        (0..self.below(30)).map(|_| self.text()).collect()
    }
}

/// A list of texts in an object, in a small owner, and as std has it.
struct Both {
    list: Handle<[String]>,
    owner: Handle32<Vec<String>>,
    model: Vec<String>,
}

impl Both {
    fn new(model: Vec<String>) -> Both {
        Both { list: model.iter().cloned().collect(), owner: Handle32::new(model.clone()), model }
    }

    fn check(&self) {
        assert_eq!(self.list.len(), self.model.len());
        assert_eq!(*self.list.pin(), *self.model);
        scope(|s| assert_eq!(*self.owner.get_in(s), self.model));
    }

    fn change(&mut self, random: &mut Random) {
        match random.below(6) {
            0 => {
                let (length, text) = (random.below(60), random.text());
                self.list.resize_with(length, || text.clone());
                self.owner.with_mut(|v| v.resize(length, text.clone()));
                self.model.resize(length, text);
            }
            1 => {
                let length = random.below(40);
                self.list.truncate(length);
                self.owner.pin_mut().truncate(length);
                self.model.truncate(length);
            }
            2 => {
                self.list.pin_mut().sort();
                self.owner.pin_mut().sort();
                self.model.sort();
            }
            3 if !self.model.is_empty() => {
                let (i, text) = (random.below(self.model.len()), random.text());
                scope(|s| s.get_mut(&mut self.list)[i].push_str(&text));
                self.owner.pin_mut()[i].push_str(&text);
                self.model[i].push_str(&text);
            }
            4 => *self = Both { list: self.list.clone(), owner: self.owner.clone(), model: self.model.clone() },
            _ => *self = Both::new(random.texts()),
        }
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let mut all: Vec<Both> = (0..300).map(|_| Both::new(random.texts())).collect();
    for _ in 0..ROUNDS {
        let i = random.below(all.len());
        if random.below(100) == 0 {
            all.swap_remove(i).check();
            all.push(Both::new(random.texts()));
        } else {
            all[i].change(&mut random);
            all[i].check();
        }
    }
    all.iter().for_each(Both::check);
}

#[test]
fn random_operations_agree_with_std() {
    let (stop, before) = (AtomicBool::new(false), tinymem::stats().moved_objects);
    thread::scope(|t| {
        let workers: Vec<_> = (1..4).map(|seed| t.spawn(move || run(seed))).collect();
        t.spawn(|| {
            while !stop.load(Relaxed) {
                tinymem::compact();
                thread::yield_now();
            }
        });
        let results: Vec<_> = workers.into_iter().map(|w| w.join()).collect();
        stop.store(true, Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    let moved = tinymem::stats().moved_objects - before;
    assert!(moved > 0, "nothing moved: the test shows nothing");
    println!("{} objects moved", moved);
}
