use tinymem::Handle32;

#[cfg(fail)]
fn convert<'a>(h: Handle32<&'a str>) -> Handle32<&'static str> {
    h //~ error
}

#[cfg(not(fail))]
fn convert<'a>(h: Handle32<&'static str>) -> Handle32<&'a str> {
    h
}

fn main() {
    println!("{:?}", convert(Handle32::new("text")));
}
