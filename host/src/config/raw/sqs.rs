//! What was typed about the SQS endpoint.

use super::{RawTls, only_keys_of};
use crate::config::keys::Table;
use crate::config::problem::Problems;
use crate::config::section::{Given, Section};
use crate::config::{SqsAuth, SqsLimits};

/// `[sqs]`
#[derive(Default)]
pub struct RawSqs {
    pub listen: Given<String>,
    pub public_url: Given<String>,
    pub account: Given<String>,
    pub region: Given<String>,
    pub limits: Given<SqsLimits>,
    pub auth: Given<SqsAuth>,
    pub tls: RawTls,
}

impl RawSqs {
    /// Reads the table.
    pub fn read(sqs: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        only_keys_of(Table::Sqs, sqs, &[], problems);
        RawSqs {
            listen: sqs.text("listen", problems),
            public_url: sqs.text("public_url", problems),
            account: sqs.text("account", problems),
            region: sqs.text("region", problems),
            limits: sqs.choice("limits", &SqsLimits::WORDS, problems),
            auth: sqs.choice("auth", &SqsAuth::WORDS, problems),
            tls: RawTls::read(sqs, problems),
        }
    }
}
