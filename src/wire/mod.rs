//! The poll plane: our own small Kafka client, read-only, and never blind.
//!
//! [`Cluster::snapshot`] reads a whole cluster in one turn. It is total: a broker that hangs or refuses costs its own
//! part of the reading and nobody else's. [`Witness`] answers single questions of proof in between,
//! [`Surveyor`] what nobody needs every turn.

mod api;
mod cluster;
mod codec;
mod commits;
mod configs;
mod connection;
mod coordination;
mod coordinator;
mod description;
mod epochs;
mod gaps;
mod governor;
mod greeting;
mod group_list;
mod groups;
mod hedge;
mod hidden;
mod kept;
mod matched;
mod options;
mod poll;
mod pool;
mod requests;
mod security;
mod share;
mod sightings;
mod snapshot;
mod surveyor;
mod throttle;
mod topic_names;
mod topology;
mod transport;
mod turn;
mod watermarks;
mod witness;

pub use cluster::Cluster;
pub use greeting::{Greeted, Greeting};
pub use options::{Filter, Options, Scope, Share};
pub use security::{PROPERTIES, Security, Token, Tokens};
pub use surveyor::Surveyor;
pub use witness::{TermEnds, Witness};
