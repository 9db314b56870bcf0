//! Finds the library: in `TINYMEM_LIB_DIR`; in the prefix where this crate is installed, or in the checkout that it is
//! part of; or where pkg-config says that it is installed.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["TINYMEM_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "DOCS_RS"] {
        println!("cargo:rerun-if-env-changed={}", name);
    }
    if env::var_os("DOCS_RS").is_some() {
        return; // only documentation is made: nothing is linked
    }
    let name = if feature("MALLOC") { "tinymem" } else { "tinymem-handles" };
    let suffix = if feature("STATIC") { "a" } else { "so" };
    let file = format!("lib{}.{}", name, suffix);
    let dir = from_environment(&file)
        .or_else(|| from_prefix(&file))
        .or_else(|| from_checkout(&file))
        .unwrap_or_else(|| from_pkg_config(name, &file));
    println!("cargo:rerun-if-changed={}", dir.join(&file).display());
    if !feature("STATIC") {
        link_beside(&dir, &file);
    }
    println!("cargo:rustc-link-search=native={}", dir.display());
    println!("cargo:libdir={}", dir.display());
    if feature("STATIC") {
        // Whole: malloc's family must come from one place, also those members that nobody has named so far.
        println!("cargo:rustc-link-lib=static:+whole-archive,-bundle={}", name);
    } else {
        println!("cargo:rustc-link-lib=dylib={}", name);
    }
}

fn feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{}", name)).is_some()
}

fn from_environment(file: &str) -> Option<PathBuf> {
    let dir = env::var_os("TINYMEM_LIB_DIR").filter(|dir| !dir.is_empty())?;
    let dir = Path::new(&dir);
    if !dir.is_absolute() {
        fail(&format!("TINYMEM_LIB_DIR is {}: it must be an absolute path", dir.display()));
    }
    if !dir.join(file).exists() {
        fail(&format!("TINYMEM_LIB_DIR is {}, and there is no {} in it", dir.display(), file));
    }
    Some(dir.to_path_buf())
}

/// The library that was installed with this crate: `PREFIX/share/cargo/registry/tinymem-VERSION`.
fn from_prefix(file: &str) -> Option<PathBuf> {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let prefix = crate_dir.ancestors().nth(4)?;
    if !crate_dir.parent()?.ends_with("share/cargo/registry") {
        return None;
    }
    let triplet = env::var("TARGET").ok()?.replace("-unknown-", "-"); // as Debian names its directories
    let places = [prefix.join("lib").join(triplet), prefix.join("lib64"), prefix.join("lib")];
    places.into_iter().find(|dir| dir.join(file).exists())
}

/// In a checkout, the library that was built there.
fn from_checkout(file: &str) -> Option<PathBuf> {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let dir = crate_dir.ancestors().nth(3)?.join("build/release");
    let ours = crate_dir.ends_with("include/rust/tinymem") && dir.join(file).exists();
    ours.then_some(dir)
}

/// Links to the shared library in cargo's directory, which `cargo run` and `cargo test` show to the loader. A program
/// that is started in another way finds the library where the loader looks, or in LD_LIBRARY_PATH.
fn link_beside(dir: &Path, file: &str) {
    let out = match env::var_os("OUT_DIR") {
        Some(out) => PathBuf::from(out),
        None => return,
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for name in entries.map(|entry| entry.file_name()) {
        if name.to_string_lossy().starts_with(file) {
            let link = out.join(&name);
            let _ = fs::remove_file(&link);
            if symlink(dir.join(&name), &link).is_err() {
                return; // then LD_LIBRARY_PATH must say it
            }
        }
    }
    println!("cargo:rustc-link-search=native={}", out.display());
}

fn from_pkg_config(name: &str, file: &str) -> PathBuf {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let wanted = format!("{} >= {}", name, env!("CARGO_PKG_VERSION"));
    let asked = Command::new(program).args(["--variable=libdir", &wanted]).output();
    let dir = match asked {
        // It writes a backslash before a blank.
        Ok(answer) if answer.status.success() => {
            PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim().replace('\\', ""))
        }
        _ => fail(&format!(
            "pkg-config does not know {}: install tinymem, or set TINYMEM_LIB_DIR to the directory of {}",
            wanted, file
        )),
    };
    if !dir.join(file).exists() {
        fail(&format!("pkg-config says that {} is in {}, and there is no {} in it", name, dir.display(), file));
    }
    dir
}

fn fail(why: &str) -> ! {
    eprintln!("tinymem: {}", why);
    std::process::exit(1)
}
