//! All that are compared, and how each is started, asked and told to forget.

use std::rc::Rc;

use anyhow::Result;
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::clock::Clock;
use super::rabbitmq::Kind;
use super::wire::produce;
use super::{beanstalkd, gristmill, limit, nats, postgres, rabbitmq, redis};
use crate::server::{Server, version};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Limit,
    Fresh,
    Reused,
    Redis,
    Nats,
    Postgres,
    Classic,
    Quorum,
    Beanstalkd,
}

/// How much is under way at once: sends that are not confirmed, and over how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub unconfirmed: usize,
    pub connections: usize,
}

pub const LEVELS: [Level; 3] = [
    Level {
        unconfirmed: 1,
        connections: 1,
    },
    Level {
        unconfirmed: 64,
        connections: 8,
    },
    Level {
        unconfirmed: 1024,
        connections: 16,
    },
];

/// One that was started.
#[derive(Clone)]
pub enum Running {
    Log(Rc<limit::Log>),
    Server(Rc<Server>),
}

impl System {
    pub const ALL: [System; 9] = [
        System::Limit,
        System::Fresh,
        System::Reused,
        System::Redis,
        System::Nats,
        System::Postgres,
        System::Classic,
        System::Quorum,
        System::Beanstalkd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            System::Limit => "limit line",
            System::Fresh => "Gristmill, fresh",
            System::Reused => "Gristmill, reused",
            System::Redis => "Redis",
            System::Nats => "NATS JetStream",
            System::Postgres => "PostgreSQL",
            System::Classic => "RabbitMQ, classic",
            System::Quorum => "RabbitMQ, quorum",
            System::Beanstalkd => "beanstalkd",
        }
    }

    /// Whether it is one of others.
    pub fn is_peer(self) -> bool {
        !matches!(self, System::Limit | System::Fresh | System::Reused)
    }

    pub fn settings(self) -> &'static str {
        match self {
            System::Limit => limit::SETTINGS,
            System::Fresh => gristmill::SETTINGS,
            System::Reused => gristmill::SETTINGS_REUSED,
            System::Redis => redis::SETTINGS,
            System::Nats => nats::SETTINGS,
            System::Postgres => postgres::SETTINGS,
            System::Classic => Kind::Classic.settings(),
            System::Quorum => Kind::Quorum.settings(),
            System::Beanstalkd => beanstalkd::SETTINGS,
        }
    }

    /// What it says of itself.
    pub fn version(self) -> Result<String> {
        match self {
            System::Limit => Ok("–".to_owned()),
            System::Fresh | System::Reused => Ok(gristmill_tests::commit()),
            System::Redis => {
                let said = version("redis-server", &["--version"])?;
                let words: Vec<&str> = said.split(' ').take(3).collect();
                Ok(words.join(" "))
            }
            System::Nats => version("nats-server", &["--version"]),
            System::Postgres => version("postgres", &["--version"]),
            System::Classic | System::Quorum => rabbitmq::version(),
            System::Beanstalkd => version("beanstalkd", &["-v"]),
        }
    }

    /// Starts it; with `trace` its calls that make something durable are counted.
    pub async fn start(self, trace: bool) -> Result<Running> {
        let server = match self {
            System::Limit => return Ok(Running::Log(Rc::new(limit::Log::new()?))),
            System::Fresh => gristmill::start(1, trace).await?,
            System::Reused => gristmill::start(128, trace).await?,
            System::Redis => redis::start(trace)?,
            System::Nats => {
                let server = nats::start(trace)?;
                nats::prepare(&server).await?;
                server
            }
            System::Postgres => {
                let server = postgres::start(trace)?;
                postgres::prepare(&server).await?;
                server
            }
            System::Classic | System::Quorum => {
                let server = rabbitmq::start(trace)?;
                let kind = match self {
                    System::Quorum => Kind::Quorum,
                    _ => Kind::Classic,
                };
                rabbitmq::prepare(&server, kind).await?;
                server
            }
            System::Beanstalkd => beanstalkd::start(trace)?,
        };
        Ok(Running::Server(Rc::new(server)))
    }

    /// The signal at which it ends in good order.
    pub fn signal(self) -> Signal {
        match self {
            // The others of PostgreSQL's wait for clients, or leave work for the next start.
            System::Postgres => Signal::INT,
            _ => Signal::TERM,
        }
    }

    /// Forgets what was sent on.
    pub async fn reset(self, running: &Running) -> Result<()> {
        let Running::Server(server) = running else {
            return Ok(());
        };
        match self {
            System::Fresh | System::Reused => gristmill::reset(server).await,
            System::Redis => redis::reset(server).await,
            System::Nats => nats::reset(server).await,
            System::Postgres => postgres::reset(server).await,
            System::Classic | System::Quorum => rabbitmq::reset(server).await,
            // There is no such command, and it does not get slower by what waits.
            System::Limit | System::Beanstalkd => Ok(()),
        }
    }

    /// Starts those that take messages; they go on until they are dropped.
    pub fn consume(self, running: &Running, clock: &Rc<Clock>, level: Level, paced: bool) -> Tasks {
        let mut tasks = Tasks::new();
        let Running::Server(server) = running else {
            return tasks;
        };
        let both = || (Rc::clone(server), Rc::clone(clock));
        let several = match self {
            // It takes one at a time, with two calls of fsync for each.
            System::Beanstalkd => level.connections.clamp(4, 8),
            _ => level.connections.min(8),
        };
        for worker in 0..several {
            let (server, clock) = both();
            match self {
                System::Limit | System::Fresh | System::Reused => {}
                System::Redis => {
                    tasks.spawn_local(redis::consume(server, clock, worker));
                }
                System::Nats => {
                    tasks.spawn_local(nats::consume(server, clock, worker));
                }
                System::Postgres => {
                    tasks.spawn_local(postgres::consume(server, clock));
                }
                System::Classic | System::Quorum => {
                    tasks.spawn_local(rabbitmq::consume(server, clock));
                }
                System::Beanstalkd => {
                    tasks.spawn_local(beanstalkd::consume(server, clock));
                }
            }
        }
        if matches!(self, System::Fresh | System::Reused) {
            let (server, clock) = both();
            if paced {
                tasks.spawn_local(gristmill::watch_handled(server, clock));
            } else {
                tasks.spawn_local(gristmill::count_handled(server, clock));
            }
        }
        tasks
    }

    /// Starts those that send; they end with the time.
    pub async fn produce(
        self,
        running: &Running,
        clock: &Rc<Clock>,
        level: Level,
        tasks: &mut Tasks,
    ) -> Result<()> {
        let server = match running {
            Running::Log(log) => {
                for _ in 0..level.unconfirmed {
                    tasks.spawn_local(limit::produce(Rc::clone(log), Rc::clone(clock)));
                }
                return Ok(());
            }
            Running::Server(server) => server,
        };
        if matches!(self, System::Fresh | System::Reused) {
            // Single sends as long as there are connections for them.
            let connections = level.unconfirmed.min(64).max(level.connections);
            let connections = if level.unconfirmed > 64 {
                level.connections
            } else {
                connections
            };
            for _ in 0..connections {
                let batch = level.unconfirmed / connections;
                let (server, clock) = (Rc::clone(server), Rc::clone(clock));
                tasks.spawn_local(gristmill::produce(server, clock, batch));
            }
            return Ok(());
        }
        let window = level.unconfirmed / level.connections;
        for number in 0..level.connections {
            let clock = Rc::clone(clock);
            match self {
                System::Limit | System::Fresh | System::Reused => {}
                System::Redis => {
                    let wire = super::wire::Wire::open(server.address).await?;
                    tasks.spawn_local(produce(wire, clock, window, redis::Push));
                }
                System::Nats => {
                    let (wire, sending) = nats::producer(server, number).await?;
                    tasks.spawn_local(produce(wire, clock, window, sending));
                }
                System::Postgres => {
                    let (wire, sending) = postgres::producer(server).await?;
                    tasks.spawn_local(produce(wire, clock, window, sending));
                }
                System::Classic | System::Quorum => {
                    let (wire, sending) = rabbitmq::producer(server).await?;
                    tasks.spawn_local(produce(wire, clock, window, sending));
                }
                System::Beanstalkd => {
                    let wire = beanstalkd::producer(server).await?;
                    tasks.spawn_local(produce(wire, clock, window, beanstalkd::Put));
                }
            }
        }
        Ok(())
    }
}

pub type Tasks = JoinSet<Result<()>>;
