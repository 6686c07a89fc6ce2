//! Requests and answers of one connection, passed on one by one, with what goes wrong in them.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, watch};

use super::hold::{Changes, Grip, Moment, Outcome, without_version};
use super::{Fault, Met, Weather};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves a client until one side ends the connection.
pub(super) async fn all(
    client: UnixStream,
    server: UnixStream,
    weather: watch::Receiver<Weather>,
    met: Met,
    changes: Arc<Changes>,
) {
    let Ok((sender, driver)) = handshake(TokioIo::new(server)).await else {
        return;
    };
    let passage = Passage {
        // One request at a time: clients wait for an answer before they send the next one.
        engine: Mutex::new(sender),
        weather,
        met,
        changes,
    };
    let service = service_fn(|request| passage.answer(request));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(client), service);
    let mut serving = pin!(serving);
    let mut driver = pin!(driver);
    let mut ended = false;
    loop {
        tokio::select! {
            // Either side may go away at any time; that ends the connection and nothing else.
            _ = serving.as_mut() => return,
            _ = driver.as_mut(), if !ended => {
                ended = true;
                // What is on its way to the client still arrives.
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

struct Passage {
    engine: Mutex<SendRequest<Incoming>>,
    weather: watch::Receiver<Weather>,
    met: Met,
    changes: Arc<Changes>,
}

impl Passage {
    /// An error cuts the connection.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let target = request.uri().path_and_query().map_or("", |t| t.as_str());
        let tells_events = without_version(target).starts_with("/events");
        if let Some(grip) = self.changes.count(request.method(), target) {
            return self.held(grip, request).await;
        }
        let answer = self.ask(request).await?;
        self.unheld(answer, tells_events).await
    }

    async fn ask(&self, request: Request<Incoming>) -> io::Result<Response<Incoming>> {
        let mut engine = self.engine.lock().await;
        engine.ready().await.map_err(io::Error::other)?;
        let mut answer = engine
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        // How the body is delimited on the way to the client is that connection's matter.
        for name in [CONNECTION, TRANSFER_ENCODING] {
            answer.headers_mut().remove(name);
        }
        Ok(answer)
    }

    /// As the weather is.
    async fn unheld(
        &self,
        answer: Response<Incoming>,
        tells_events: bool,
    ) -> io::Result<Response<Body>> {
        let fault = self.weather.borrow().fault.clone();
        if matches!(fault, Fault::Halve | Fault::Deafen) {
            self.met.send_replace(Some(fault.clone()));
        }
        match fault {
            Fault::Halve => halved(answer).await,
            Fault::Deafen => std::future::pending().await,
            _ => Ok(answer.map(|body| self.stream(body, tells_events))),
        }
    }

    /// A body whose pieces are lost while the weather says so.
    fn stream(&self, body: Incoming, tells_events: bool) -> Body {
        let changes = Arc::clone(&self.changes);
        let start = (body, self.weather.clone(), self.met.clone(), changes);
        let pieces = stream::unfold(start, move |(mut body, weather, met, changes)| async move {
            loop {
                let frame = body.frame().await;
                let fault = weather.borrow().fault.clone();
                if fault == Fault::Deafen {
                    met.send_replace(Some(fault.clone()));
                    // Its end is not heard either.
                    std::future::pending::<()>().await;
                }
                match (fault, frame?) {
                    (Fault::LoseEvents, Ok(frame)) if tells_events => {
                        changes.lose(frame.data_ref().map_or(&[][..], |data| data));
                    }
                    (_, frame) => {
                        let frame = frame.map_err(io::Error::other);
                        return Some((frame, (body, weather, met, changes)));
                    }
                }
            }
        });
        StreamBody::new(pieces).boxed_unsync()
    }

    /// As the test decides.
    async fn held(&self, grip: Grip, request: Request<Incoming>) -> io::Result<Response<Body>> {
        if grip.moment == Moment::Asked {
            return match grip.decided().await {
                Outcome::Cut => Err(io::ErrorKind::ConnectionReset.into()),
                Outcome::Answer(status, json) => Ok(instead(status, json)),
                outcome => self.ended(outcome, self.ask(request).await?).await,
            };
        }
        let (head, body) = self.ask(request).await?.into_parts();
        // What the engine streams, it has done at its end.
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let outcome = grip.decided().await;
        let whole = Response::from_parts(head, whole(body.clone()));
        match outcome {
            Outcome::Pass => Ok(whole),
            Outcome::Cut => Err(io::ErrorKind::ConnectionReset.into()),
            Outcome::Answer(status, json) => Ok(instead(status, json)),
            Outcome::Halve => half(whole.into_parts().0, &body),
            Outcome::Silence => std::future::pending().await,
        }
    }

    async fn ended(
        &self,
        outcome: Outcome,
        answer: Response<Incoming>,
    ) -> io::Result<Response<Body>> {
        match outcome {
            Outcome::Halve => halved(answer).await,
            Outcome::Silence => {
                // The engine does not wait for somebody who reads.
                let _ = answer.into_body().collect().await;
                std::future::pending().await
            }
            _ => self.unheld(answer, false).await,
        }
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn instead(status: u16, json: &'static str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(whole(Bytes::from_static(json.as_bytes())))
        .expect("an answer")
}

/// Half of the first piece of an answer, and the end of the connection.
async fn halved(answer: Response<Incoming>) -> io::Result<Response<Body>> {
    let (head, mut body) = answer.into_parts();
    let first = match body.frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    };
    half(head, &first)
}

fn half(head: hyper::http::response::Parts, body: &Bytes) -> io::Result<Response<Body>> {
    if body.is_empty() {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let pieces = [
        Ok(Frame::data(body.slice(..body.len() / 2))),
        Err(io::ErrorKind::ConnectionReset.into()),
    ];
    let body = StreamBody::new(stream::iter(pieces)).boxed_unsync();
    Ok(Response::from_parts(head, body))
}
