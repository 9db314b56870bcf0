use tinymem::Handle;

#[cfg(fail)]
fn convert<'a>(h: Handle<&'a str>) -> Handle<&'static str> {
    h //~ error
}

#[cfg(not(fail))]
fn convert<'a>(h: Handle<&'static str>) -> Handle<&'a str> {
    h
}

fn main() {
    println!("{}", convert(Handle::new("text")));
}
