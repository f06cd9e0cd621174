//! Who is let in at a listener, and how often.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use gristmill_queue::Timestamp;
use gristmill_queue::rate::{Bucket, Rate};

use super::limits::MAX_CLIENTS;
use crate::api::{Code, Problem};
use crate::auth::{Access, Identity, Refused};
use crate::config::{ApiAuth, ApiConfig};
use crate::net::{Budget, Peer, check_site};

/// What is asked of whoever comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// The file system lets in nobody but the owner of the data folder.
    Owner,
    /// Nothing.
    Everybody,
    /// A token.
    Token,
}

/// The gate of one listener.
pub struct Gate {
    entry: Entry,
    /// Who asks where everybody may.
    anybody: Arc<Identity>,
    /// Where tokens are wanted.
    access: Option<Access>,
    rates: Mutex<Rates>,
    pub(super) budget: Budget,
}

/// Too much was asked within the time; in so many seconds it is worth trying again.
pub(super) struct TooOften(pub u32);

impl Gate {
    /// Of the local socket.
    #[must_use]
    pub fn of_socket(budget: Budget) -> Self {
        Gate {
            entry: Entry::Owner,
            anybody: anybody(),
            access: None,
            rates: Mutex::new(Rates::new(None, None)),
            budget,
        }
    }

    /// Of a listener on the network.
    #[must_use]
    pub fn of_network(config: &ApiConfig, access: Access, budget: Budget) -> Self {
        Gate {
            entry: match config.auth {
                ApiAuth::None => Entry::Everybody,
                ApiAuth::Token => Entry::Token,
            },
            anybody: anybody(),
            access: Some(access),
            rates: Mutex::new(Rates::new(config.rate, config.rate_per_client)),
            budget,
        }
    }

    /// Keeps out what pages of others make a browser send.
    pub(super) fn check_site(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.entry == Entry::Owner {
            return Ok(());
        }
        let everybody = self.entry == Entry::Everybody;
        check_site(headers, everybody).map_err(|why| Problem::new(Code::Forbidden, why))
    }

    /// Who asks.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<Arc<Identity>, Problem> {
        match (self.entry, &self.access) {
            (Entry::Owner, _) => Ok(Arc::new(Identity::everything(peer.to_string()))),
            (Entry::Everybody, _) => Ok(self.anybody()),
            (Entry::Token, None) => Err(Problem::new(Code::Busy, "the host has no tokens")),
            (Entry::Token, Some(access)) => {
                let token = bearer(headers)?;
                let found = access.bearer(token, SystemTime::now());
                found.map_err(|refused| match refused {
                    Refused::Unavailable(error) => {
                        // What is wrong with the file is nobody's business out there.
                        tracing::debug!(%error, "a token could not be looked up");
                        let detail = "the host cannot read its tokens: its log says why";
                        Problem::new(Code::Busy, detail)
                    }
                    refused => Problem::new(Code::Unauthorized, refused.to_string()),
                })
            }
        }
    }

    /// Whoever it is.
    pub(super) fn anybody(&self) -> Arc<Identity> {
        Arc::clone(&self.anybody)
    }

    /// Takes one request of all that may come.
    pub(super) fn count(&self) -> Result<(), TooOften> {
        self.lock().count()
    }

    /// Takes one request of those that may come from this client.
    pub(super) fn count_of(&self, identity: &Identity, peer: Peer) -> Result<(), TooOften> {
        let mut rates = self.lock();
        if rates.per_client.is_none() {
            return Ok(());
        }
        let client = match (self.entry, peer.ip()) {
            (Entry::Everybody, Some(ip)) => Client::Address(network(ip)),
            _ => Client::Token(identity.who.clone()),
        };
        rates.count_of(client)
    }

    /// The same of one who did not say who they are, or lied.
    pub(super) fn count_stranger(&self, peer: Peer) -> Result<(), TooOften> {
        match peer.ip() {
            Some(ip) => self.lock().count_of(Client::Address(network(ip))),
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn anybody() -> Arc<Identity> {
    Arc::new(Identity::everything("anybody"))
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let unauthorized = |detail: &str| Problem::new(Code::Unauthorized, detail);
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Err(unauthorized(
            "the host wants a token: send it as `Authorization: Bearer gm_…`; whoever runs the host makes one with `gristmill token create`",
        ));
    };
    if given.next().is_some() {
        return Err(unauthorized("Authorization is given twice: give it once"));
    }
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((kind, token)) if kind.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(unauthorized(
            "Authorization is no bearer token: send it as `Authorization: Bearer gm_…`",
        )),
    }
}

/// Whoever has one address of IPv6 has as many as they like of its network.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    Token(String),
    Address(IpAddr),
}

/// What is left of the rates.
struct Rates {
    begun: Instant,
    all: Option<Bucket>,
    per_client: Option<Rate>,
    clients: HashMap<Client, Bucket>,
}

impl Rates {
    fn new(all: Option<Rate>, per_client: Option<Rate>) -> Self {
        Rates {
            begun: Instant::now(),
            all: all.map(Bucket::new),
            per_client,
            clients: HashMap::new(),
        }
    }

    /// Steps of the wall clock must not change a rate.
    fn now(&self) -> Timestamp {
        let ms = self.begun.elapsed().as_millis();
        Timestamp::from_unix_ms(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    fn count(&mut self) -> Result<(), TooOften> {
        if self.all.is_none() {
            return Ok(());
        }
        let now = self.now();
        self.all.as_mut().map_or(Ok(()), |bucket| take(bucket, now))
    }

    fn count_of(&mut self, client: Client) -> Result<(), TooOften> {
        let Some(rate) = self.per_client else {
            return Ok(());
        };
        let now = self.now();
        self.make_room(now);
        let bucket = self.clients.entry(client);
        take(bucket.or_insert_with(|| Bucket::new(rate)), now)
    }

    /// One whose bucket is full needs none. If all have begun theirs, those are forgotten that need it
    /// least.
    fn make_room(&mut self, now: Timestamp) {
        if self.clients.len() < MAX_CLIENTS {
            return;
        }
        self.clients.retain(|_, bucket| bucket.full_at() > now);
        if self.clients.len() < MAX_CLIENTS {
            return;
        }
        let mut full: Vec<Timestamp> = self.clients.values().map(Bucket::full_at).collect();
        full.sort_unstable();
        let middle = full[full.len() / 2];
        self.clients.retain(|_, bucket| bucket.full_at() > middle);
    }
}

fn take(bucket: &mut Bucket, now: Timestamp) -> Result<(), TooOften> {
    if bucket.take(now) {
        return Ok(());
    }
    let ms = bucket.opens_at().unix_ms().saturating_sub(now.unix_ms());
    Err(TooOften(
        u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1),
    ))
}

/// A gate as handlers of routes have it.
pub(super) type SharedGate = Arc<Gate>;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(n: u32) -> Client {
        Client::Address(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn a_client_that_asks_too_often_is_told_when_to_come_again_and_others_are_not() {
        let rate = Rate::new(1, Duration::from_secs(60), Some(2));
        let mut rates = Rates::new(None, Some(rate));
        assert!(rates.count_of(client(1)).is_ok() && rates.count_of(client(1)).is_ok());
        let Err(TooOften(seconds)) = rates.count_of(client(1)) else {
            panic!("a third one was let in");
        };
        assert!((50..=60).contains(&seconds), "{seconds}");
        assert!(rates.count_of(client(2)).is_ok());
        let mut all = Rates::new(Some(rate), None);
        assert!(all.count().is_ok() && all.count().is_ok() && all.count().is_err());
    }

    #[test]
    fn so_many_clients_are_remembered_and_no_more() {
        let rate = Rate::new(1, Duration::from_secs(3600), Some(1));
        let mut rates = Rates::new(None, Some(rate));
        for n in 0..u32::try_from(MAX_CLIENTS).unwrap() * 2 {
            assert!(rates.count_of(client(n)).is_ok());
            assert!(rates.clients.len() <= MAX_CLIENTS);
        }
        assert!(rates.clients.len() > MAX_CLIENTS / 4);
    }

    #[test]
    fn a_token_is_found_where_it_belongs() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers)
                .map(str::to_owned)
                .map_err(|problem| problem.code)
        };
        assert_eq!(read(&["Bearer gm_x"]), Ok("gm_x".to_owned()));
        assert_eq!(read(&["bearer   gm_x "]), Ok("gm_x".to_owned()));
        for wrong in [
            &[][..],
            &["gm_x"],
            &["Basic eDp5"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(read(wrong), Err(Code::Unauthorized), "{wrong:?}");
        }
    }

    #[test]
    fn neighbours_in_a_network_of_ipv6_are_one_client() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8:1:2::7"), ip("2001:db8:1:2:ffff::1"));
        assert_ne!(ip("2001:db8:1:2::7"), ip("2001:db8:1:3::7"));
        assert_ne!(ip("10.0.0.1"), ip("10.0.0.2"));
    }
}
