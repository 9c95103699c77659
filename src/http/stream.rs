//! A plan as server-sent events (WHATWG HTML, section 9.2): each step as soon as it is written, then the plan.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::domain::SubTask;
use crate::domain::problem::Problem;
use crate::server::observe::StreamOutcome;
use crate::server::request::RequestContext;
use crate::service::PlannerService;
use crate::service::reply::{PlanMetadata, PlanReply};

use super::plan::plan_headers;

/// A comment is sent after so long without an event, so that no proxy considers the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The events of one request. The plan is made while they are polled; dropping them cancels it.
struct Events {
    service: Arc<PlannerService>,
    context: RequestContext,
    steps: UnboundedReceiver<SubTask>,
    /// `None` once the plan is made or has failed.
    making: Option<BoxFuture<'static, PlanReply>>,
    last: VecDeque<Event>,
    end: StreamOutcome<PlanMetadata>,
}

/// The response that sends `steps` as they arrive, and then the outcome of `making`.
pub(super) fn respond(
    service: Arc<PlannerService>,
    context: RequestContext,
    steps: UnboundedReceiver<SubTask>,
    making: impl Future<Output = PlanReply> + Send + 'static,
) -> Response {
    let end = StreamOutcome::default();
    let making = Some(making.boxed());
    let events = Events { service, context, steps, making, last: VecDeque::new(), end: end.clone() };
    let events = stream::unfold(events, |mut events| async {
        let event = events.next().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // nginx would buffer the events otherwise.
    let mut response = ([("x-accel-buffering", "no")], events).into_response();
    response.extensions_mut().insert(end);
    response
}

impl Events {
    async fn next(&mut self) -> Option<Event> {
        if let Some(making) = &mut self.making {
            let made = tokio::select! {
                biased;
                Some(step) = self.steps.recv() => return Some(event("step", &step)),
                made = AssertUnwindSafe(making).catch_unwind() => made,
            };
            self.making = None;
            self.finish(made.unwrap_or_else(|_| {
                self.service.metrics.record_panic();
                PlanReply::from(Problem::internal())
            }));
        }
        self.last.pop_front()
    }

    /// Queues the remaining steps, the headers as comments, and the plan or the problem.
    fn finish(&mut self, reply: PlanReply) {
        while let Ok(step) = self.steps.try_recv() {
            self.last.push_back(event("step", &step));
        }
        let PlanReply { result, metadata } = reply;
        self.last.extend(metadata.as_ref().map(comments));
        self.last.push_back(match &result {
            Ok(plan) => named("plan", &String::from_utf8_lossy(plan)),
            Err(problem) => event("error", &problem.document(self.context.id())),
        });
        self.end.set(result.err().map(|problem| problem.code), metadata);
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    named(name, &serde_json::to_string(data).expect("strings and numbers serialise"))
}

/// An event whose data is compact JSON, which is one line.
fn named(name: &str, json: &str) -> Event {
    Event::default().event(name).data(json)
}

/// The headers of a plan, which are known only after the response has started.
fn comments(metadata: &PlanMetadata) -> Event {
    plan_headers(metadata).fold(Event::default(), |event, (name, value)| {
        event.comment(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
    })
}
