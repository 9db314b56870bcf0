use tinymem::Handle;

#[cfg(fail)]
fn first(list: &Handle<[u32]>) -> &u32 {
    let pin = list.pin();
    &pin[0] //~ E0515
}

#[cfg(not(fail))]
fn first(list: &Handle<[u32]>) -> u32 {
    let pin = list.pin();
    pin[0]
}

fn main() {
    let list: Handle<[u32]> = Handle::from([1, 2, 3]);
    let one = first(&list);
    println!("{}", one);
}
