//! The brokers of a cluster.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;

use super::findings::FindingRow;
use super::frame::{Frame, Place, Trouble, is_known, page, unchanged};
use super::text::{self, Badge, Stamp, Value};
use crate::model::Timestamp;
use crate::observe::{BrokerState, BrokerView};
use crate::web::State;
use crate::web::listing;
use crate::web::query::Parameters;

#[derive(Template)]
#[template(path = "brokers.html")]
struct Brokers {
    frame: Frame,
    cluster: String,
    cluster_id: Value,
    rows: Vec<Row>,
    requests: Vec<(&'static str, &'static str, String)>,
    findings: Vec<FindingRow>,
    as_of: Stamp,
}

struct Row {
    id: i32,
    address: String,
    rack: String,
    state: Badge,
    why: Option<String>,
    since: Stamp,
    leads: String,
    replicas: String,
}

impl Row {
    fn of(view: &BrokerView, now: Timestamp) -> Self {
        let (state, why) = match view.state {
            BrokerState::Answering => (Badge::new(text::GOOD, "answering"), None),
            BrokerState::NotAnswering(why) => (Badge::new(text::UNKNOWN, "not answering"), Some(why.to_string())),
            BrokerState::LeftMetadata => (Badge::new(text::WARN, "left the metadata"), None),
        };
        Self {
            id: view.id.0,
            address: text::shown(&view.address),
            rack: view.rack.as_deref().map(text::shown).unwrap_or_default(),
            state,
            why,
            since: Stamp::of(view.since, now),
            leads: text::count(view.leads),
            replicas: text::count(view.replicas),
        }
    }
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path(name) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let title = format!("Brokers of {name}");
    let frame = Frame::of(&web, &published, &title, Place::Cluster { name: name.as_str(), tab: "brokers" })
        .json(text::cluster_href(name.as_str(), "/brokers"));
    let about = cluster.findings.iter().filter(|finding| finding.subject.broker.is_some());
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &Brokers {
            cluster: text::shown(name.as_str()),
            cluster_id: Value::of(read.cluster_id.as_ref(), |id| text::shown(id)),
            rows: read.brokers.values().map(|view| Row::of(view, frame.now)).collect(),
            requests: read.requests.iter().map(|((api, outcome), sent)| (*api, *outcome, text::count(*sent))).collect(),
            findings: about.map(|finding| FindingRow::of(finding, frame.now)).collect(),
            as_of: Stamp::of(read.finished, frame.now),
            frame,
        },
    ))
}
