//! What no handler has, sockets, files and requests to elsewhere, and what is said of one that asked for it.
//!
//! Libraries of languages import the interfaces whether they use them or not, so they are linked, and
//! each use is denied. What a guest makes of that is often a bare "permission denied".

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, Network};
use wasmtime_wasi::p2::{TcpSocket, UdpSocket};

use super::instance::Sandbox;

/// What a guest may have asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Tcp,
    Udp,
    Lookup,
    Http,
}

impl Denied {
    /// What to say to people.
    pub(super) fn text(self) -> String {
        let (what, import) = match self {
            Denied::Tcp => ("a connection", "wasi:sockets/tcp-create-socket"),
            Denied::Udp => ("a connection", "wasi:sockets/udp-create-socket"),
            Denied::Http => ("an answer from elsewhere", "wasi:http/outgoing-handler"),
            Denied::Lookup => ("the address of a host", "wasi:sockets/ip-name-lookup"),
        };
        format!(
            "it asked for {what} ({import}), and no handler has any: let it send to a queue, and have a program \
             outside receive from that"
        )
    }
}

/// How languages say that there is no such file.
const NO_FILE: [&str; 4] = [
    "pre-opened file descriptor",
    "No such file or directory",
    "no such file or directory",
    "FileNotFoundError",
];

/// What to say of a failure that tells of a missing file.
const NO_FILES: &str = "a handler sees no files (wasi:filesystem/preopens is empty): build what it needs into \
                        the module, or give it as `env`, `config` or `secrets`";

/// What to add to the words of a failure.
pub(super) fn hint(asked: Option<Denied>, error: &str) -> Option<String> {
    let about_files = NO_FILE.iter().any(|words| error.contains(words));
    asked
        .map(Denied::text)
        .or_else(|| about_files.then(|| NO_FILES.to_owned()))
}

/// Puts functions that deny, and note it, in the place of those that are linked.
pub(super) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker
        .instance("wasi:sockets/tcp-create-socket@0.2.12")?
        .func_wrap(
            "create-tcp-socket",
            |mut store, (_,): (IpAddressFamily,)| {
                store.data_mut().denied = Some(Denied::Tcp);
                Ok((Err::<Resource<TcpSocket>, _>(ErrorCode::AccessDenied),))
            },
        )?;
    linker
        .instance("wasi:sockets/udp-create-socket@0.2.12")?
        .func_wrap(
            "create-udp-socket",
            |mut store, (_,): (IpAddressFamily,)| {
                store.data_mut().denied = Some(Denied::Udp);
                Ok((Err::<Resource<UdpSocket>, _>(ErrorCode::AccessDenied),))
            },
        )?;
    linker
        .instance("wasi:sockets/ip-name-lookup@0.2.12")?
        .func_wrap(
            "resolve-addresses",
            |mut store, (_, _): (Resource<Network>, String)| {
                store.data_mut().denied = Some(Denied::Lookup);
                Ok((Err::<Resource<ResolveAddressStream>, _>(
                    ErrorCode::AccessDenied,
                ),))
            },
        )?;
    linker.allow_shadowing(false);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_tells_of_is_explained() {
        let hint = |error: &str| hint(None, error);
        let missing = "cannot read prices.csv: No such file or directory (os error 44)";
        assert!(hint(missing).unwrap().contains("wasi:filesystem/preopens"));
        assert_eq!(hint("the price is missing"), None);
    }
}
