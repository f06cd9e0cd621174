//! Modules made byte by byte: what no compiler would write.

/// An unsigned number as WebAssembly writes it.
pub fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// A section: its number, its length, its content.
pub fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &*number(content.len() as u64), content].concat()
}

/// A list: how many there are, and all of them.
pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [number(items.len() as u64), items.concat()].concat()
}

/// A component of these sections.
pub fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
}

/// A component that consists of a core module with these functions, each of one number and with
/// locals of the same type, and a memory.
pub fn functions(bodies: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let type_of_all = vec![0x60, 1, 0x7f, 0];
    let codes: Vec<Vec<u8>> = bodies
        .iter()
        .map(|(locals, code)| {
            let locals = match locals {
                0 => number(0),
                count => [number(1), number(u64::from(*count)), vec![0x7f]].concat(),
            };
            let body = [&*locals, code, &[0x0b]].concat();
            [number(body.len() as u64), body].concat()
        })
        .collect();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &list(&[type_of_all])),
        section(3, &list(&vec![number(0); bodies.len()])),
        section(5, &list(&[vec![0, 1]])),
        section(10, &list(&codes)),
    ];
    component(&[section(1, &module.concat())])
}

const BLOCK: [u8; 2] = [0x02, 0x40];
const LOOP: [u8; 2] = [0x03, 0x40];
const BR_IF_0: [u8; 2] = [0x0d, 0];
const END: u8 = 0x0b;
const ADD: u8 = 0x6a;
const LOAD: [u8; 3] = [0x28, 2, 0];
const STORE: [u8; 3] = [0x36, 2, 0];

fn get(local: u32) -> Vec<u8> {
    [&[0x20], &*number(u64::from(local))].concat()
}

fn set(local: u32) -> Vec<u8> {
    [&[0x21], &*number(u64::from(local))].concat()
}

/// So many blocks in a row, each of which may or may not change one variable.
pub fn chain(blocks: u32) -> Vec<u8> {
    let one = [
        &BLOCK[..],
        &get(0),
        &BR_IF_0,
        &get(1),
        &get(0),
        &[ADD],
        &set(1),
        &[END],
    ];
    let mut code = one.concat().repeat(blocks as usize);
    code.extend([get(0), get(1), STORE.to_vec()].concat());
    functions(&[(1, code)])
}

/// So many variables that live through so many loops.
pub fn live(locals: u32, loops: u32) -> Vec<u8> {
    let mut code = Vec::new();
    for local in 1..=locals {
        code.extend([&*get(local - 1), &LOAD, &set(local)].concat());
    }
    for turn in 0..loops {
        let local = 1 + turn % locals;
        let one = [
            &LOOP[..],
            &get(local),
            &get(0),
            &[ADD],
            &set(local),
            &get(local),
            &BR_IF_0,
            &[END],
        ];
        code.extend(one.concat());
    }
    for local in 1..=locals {
        code.extend([&*get(0), &get(local), &STORE].concat());
    }
    functions(&[(locals, code)])
}

/// So many functions that hardly do anything.
pub fn tiny(count: usize) -> Vec<u8> {
    functions(&vec![(0, [get(0), get(0), STORE.to_vec()].concat()); count])
}

/// One function of so many steps without a branch.
pub fn straight(steps: usize) -> Vec<u8> {
    let one = [&*get(0), &LOAD, &get(1), &[ADD], &set(0)].concat();
    let mut code = one.repeat(steps);
    code.extend([get(0), get(1), STORE.to_vec()].concat());
    functions(&[(1, code)])
}

/// A component with so many types and nothing else.
pub fn types(count: usize) -> Vec<u8> {
    // Each is a list of bytes.
    component(&[section(7, &list(&vec![vec![0x70, 0x7d]; count]))])
}

/// A component that imports so many functions that nobody has.
pub fn imports(count: usize) -> Vec<u8> {
    let function = vec![0x40, 0, 1, 0];
    let import = |i: usize| {
        let name = format!("f{i}");
        [
            vec![0],
            number(name.len() as u64),
            name.into_bytes(),
            vec![1, 0],
        ]
        .concat()
    };
    let imports: Vec<Vec<u8>> = (0..count).map(import).collect();
    component(&[section(7, &list(&[function])), section(10, &list(&imports))])
}

/// Components within components, each of which holds the one inside it twice.
pub fn doubling(levels: usize) -> Vec<u8> {
    let mut inner = component(&[section(
        1,
        &[
            b"\0asm\x01\0\0\0".to_vec(),
            section(5, &list(&[vec![0, 1]])),
        ]
        .concat(),
    )]);
    // The innermost makes an instance of its module.
    inner.extend(section(2, &list(&[vec![0, 0, 0]])));
    for _ in 0..levels {
        let twice = list(&[vec![0, 0, 0], vec![0, 0, 0]]);
        inner = component(&[section(4, &inner), section(5, &twice)]);
    }
    inner
}
