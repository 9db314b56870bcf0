//! A program without std.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use tinymem::{Handle, Tinymem};

#[global_allocator]
static HEAP: Tinymem = Tinymem;

extern "C" {
    fn printf(format: *const u8, ...) -> i32;
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: abort has no demands.
    unsafe { abort() }
}

#[no_mangle]
extern "C" fn main() -> i32 {
    let mut handles: Handle<[Handle<u64>]> = (0..1000).map(Handle::new).collect();
    handles.truncate(900);
    let handles = handles.pin();
    let sum: u64 = tinymem::scope(|s| handles.iter().map(|h| s.get(h)).sum());
    let visited = tinymem::each(|_| core::ops::ControlFlow::Continue(()));
    let mut value = [0; 20];
    let told = tinymem::options::read("compaction", &mut value).map_or(0, <[u8]>::len);
    let right = HEAP.stats().resident > 0 && visited >= 900 && told == "background".len();
    // SAFETY: the format and its argument agree.
    unsafe { printf("no std: %lu, %d\n\0".as_ptr(), sum, right as i32) };
    0
}
