//! `[api]`, as it was typed.

use std::time::Duration;

use super::{RawTls, only_keys_of};
use crate::config::ApiAuth;
use crate::config::defaults;
use crate::config::keys::Table;
use crate::config::problem::Problems;
use crate::config::section::{Given, Section};

/// `[api]`
#[derive(Default)]
pub struct RawApi {
    pub listen: Given<String>,
    pub auth: Given<ApiAuth>,
    pub tls: RawTls,
    pub max_connections: Given<u32>,
    pub rate: Given<(u32, Duration)>,
    pub rate_per_client: Given<(u32, Duration)>,
}

impl RawApi {
    pub fn read(api: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        only_keys_of(Table::Api, api, &[], problems);
        RawApi {
            listen: api.text("listen", problems),
            auth: api.choice("auth", &ApiAuth::WORDS, problems),
            tls: RawTls::read(api, problems),
            max_connections: api.integer(
                "max_connections",
                &defaults::MAX_CONNECTIONS.bounds,
                problems,
            ),
            rate: api.rate("rate", &defaults::RATE, problems),
            rate_per_client: api.rate("rate_per_client", &defaults::RATE, problems),
        }
    }
}
