//! Options that are compiled into the program: of this whole one.

use std::process::Command;
use tinymem::mover::{settings, Mode};
use tinymem::options::get;

tinymem::options!("purge_delay:1234,compaction:manual");

#[test]
fn options_in_the_program_count() {
    if let Ok(wanted) = std::env::var("TINYMEM_WANTED") {
        return assert_eq!(get("purge_delay").unwrap(), wanted);
    }
    assert_eq!(get("purge_delay").unwrap(), "1234");
    assert_eq!((get("compaction").unwrap().as_str(), settings().mode), ("manual", Mode::Manual));
    // The control: the environment counts for more.
    let this = std::env::current_exe().unwrap();
    let child = Command::new(this).env("TINYMEM", "purge_delay:99").env("TINYMEM_WANTED", "99").output().unwrap();
    assert!(child.status.success(), "{:?}", child);
}
