//! Whose connections go when all places are taken.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tonic::Status;

use super::*;

/// An answer of these bytes, without an end.
struct Answer(Option<Bytes>);

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

fn relays() -> Relays {
    let text = "data_dir = \"unused\"\nclient_listen = \"127.0.0.1:1\"\npeer_listen = \"127.0.0.1:2\"\n\
                broker_id = 1\ncontrollers = [\"127.0.0.1:3\"]\n";
    Relays::new(&crate::config::parse("test.toml", text, &[]).expect("settings"))
}

#[expect(clippy::unnecessary_wraps, reason = "a relay knows its client or not")]
fn client(source: u8, port: usize) -> Option<SocketAddr> {
    Some(SocketAddr::from(([10, 0, 0, source], u16::try_from(port).expect("a port"))))
}

/// Fills all places: each half from one source.
fn filled(relays: &Relays) -> Vec<Passing> {
    let one = |port| relays.enter(client(u8::from(port >= MOST_OF_SOURCE), port), "b:1").expect("a place").1;
    (0..MOST).map(one).collect()
}

/// The client's connection asks for more.
fn poll(body: &mut RelayedBody<Passing>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// What the next call from another source would get, so much later.
fn next(relays: &Relays, later: Duration) -> Result<(), ErrorCode> {
    let ends = Ends { client: client(9, 9), target: "b:1".to_owned() };
    let made = relays.0.lines.lock().make_room(&ends, Instant::now() + later);
    made.map_err(|detail| detail.code)
}

#[tokio::test]
async fn each_clients_connection_has_one_of_its_own_to_each_target() {
    let relays = relays();
    let ends = [(client(1, 1), "b:1"), (client(1, 1), "b:1"), (client(1, 2), "b:1"), (client(1, 1), "c:1")];
    let _calls = ends.map(|(client, target)| relays.enter(client, target).expect("a place").1);
    assert_eq!(relays.0.lines.lock().open.len(), 3);
    assert!(relays.enter(None, "no address").is_err());
}

#[tokio::test]
async fn past_the_bound_calls_are_refused_until_one_is_over() {
    let relays = relays();
    let mut calls = filled(&relays);
    assert_eq!(next(&relays, IDLE), Err(ErrorCode::Overloaded));
    let of_source = |number| relays.enter(client(number, 60_000), "b:1").map(drop).map_err(|detail| detail.code);
    calls.pop();
    assert_eq!(of_source(0), Err(ErrorCode::Overloaded), "its source has its half");
    assert_eq!(of_source(9), Ok(()), "an idle one goes");
    assert_eq!(relays.0.lines.lock().open.len(), MOST);
}

#[tokio::test]
async fn a_call_whose_client_takes_nothing_loses_its_place_and_one_that_waits_does_not() {
    let relays = relays();
    let mut calls = filled(&relays);
    let mut waiting = calls.pop().expect("a call").answer(Body::new(Answer(None)));
    assert!(poll(&mut waiting).is_pending());
    let unread = Answer(Some(Bytes::from_static(b"unread")));
    let mut stalled = calls.pop().expect("a call").answer(Body::new(unread));
    assert!(matches!(poll(&mut stalled), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
    assert_eq!(next(&relays, STALLED / 2), Err(ErrorCode::Overloaded));
    assert_eq!(next(&relays, STALLED * 2), Ok(()));
    let Poll::Ready(Some(Ok(frame))) = poll(&mut stalled) else { panic!("it is told") };
    assert!(frame.trailers_ref().expect("an end").contains_key("grpc-status"));
    assert!(matches!(poll(&mut stalled), Poll::Ready(None)));
    assert!(poll(&mut waiting).is_pending());
}

#[tokio::test]
async fn connections_that_carry_no_call_are_closed_after_a_while() {
    let relays = relays();
    let held = relays.enter(client(1, 1), "b:1").expect("a place").1;
    drop(relays.enter(client(1, 2), "b:1").expect("a place"));
    let open = |later| {
        let mut lines = relays.0.lines.lock();
        lines.drop_idle(Instant::now() + later);
        lines.open.len()
    };
    assert_eq!([open(IDLE / 2), open(IDLE * 2)], [2, 1]);
    drop(held);
    assert_eq!(open(IDLE * 2), 0);
}

#[tokio::test]
async fn a_target_that_does_not_begin_to_answer_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let relays = relays();
    let request = Request::builder().uri(format!("http://{address}/")).body(Body::empty()).expect("a request");
    let detail = relays.pass(None, &address, request, Duration::from_millis(10)).await.expect_err("no answer");
    assert_eq!((detail.code, detail.outcome), (ErrorCode::BrokerNotAvailable, Outcome::Unknown));
    assert!(detail.message.contains("did not begin to answer"), "{detail}");
}
