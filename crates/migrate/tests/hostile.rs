//! Peers that are not who they say, do not say what they should, or say it too slowly.
#![expect(clippy::unwrap_used, reason = "what the tests themselves set up must succeed")]

mod common;

use abide_migrate::driver::{
    DestinationEnd, DestinationHandoff, Dial, Link, Patience, SourceEnd, SourceHandoff,
};
use abide_migrate::message::{
    Accept, Compression, Hello, Join, Kind, Message, Offer, Purpose, Round, Standing, VERSIONS,
    Welcome,
};
use abide_migrate::transport::unix::UnixLink;
use abide_migrate::*;
use common::{
    ATTEMPT, Dialer, Door, FakeDestination, FakeSource, Memory, PATIENCE, TICKET, TOKEN, World,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Gives up on everything within a moment.
const HASTE: Patience = Patience {
    message_max: Duration::from_millis(300),
    settle: Duration::from_millis(1),
    retry: Duration::from_millis(1),
};

/// A real source, whose destination is `peer`. How it ends, and whether its guest runs.
fn source_against(
    patience: Patience,
    peer: impl FnOnce(UnixStream) + Send + 'static,
) -> (SourceEnd, bool) {
    let world = Arc::new(World::default());
    let mut guest = FakeSource::new(&world);
    let (door, inside) = channel();
    let peer = std::thread::spawn(move || peer(inside.recv().unwrap()));
    let mut dial = Dialer { door, cut: None, dials: 0 };
    let mut disk = Memory::default();
    let end =
        SourceHandoff::new(&mut guest, &mut dial, &mut disk, (TOKEN, ATTEMPT), patience).run();
    peer.join().unwrap();
    (end, world.who_runs().0)
}

/// The text of why the source kept its guest, which runs.
fn kept((end, runs): (SourceEnd, bool)) -> String {
    let SourceEnd::Kept { why, .. } = end else { panic!("{end:?}") };
    assert!(runs);
    why.to_string()
}

/// A real destination to which `source` connects. What it says about that.
fn destination_against(patience: Patience, source: impl FnOnce(UnixStream)) -> String {
    destination_against_many(patience, |here, _| source(here))
}

/// The same, of a source that can make further connections.
fn destination_against_many(
    patience: Patience,
    source: impl FnOnce(UnixStream, &Sender<UnixStream>),
) -> String {
    let world = Arc::new(World::default());
    let mut guest = FakeDestination::new(&world);
    let (door, inside) = channel();
    let (mut listen, mut disk) = (Door(inside), Memory::default());
    let (here, there) = UnixStream::pair().unwrap();
    door.send(there).unwrap();
    let end = std::thread::scope(|scope| {
        let handoff = scope
            .spawn(|| DestinationHandoff::new(&mut guest, &mut listen, &mut disk, patience).run());
        source(here, &door);
        handoff.join().unwrap()
    });
    assert_eq!(world.who_runs(), (false, false));
    assert!(disk.record.is_none_or(|record| record.ownership == Ownership::Discarded));
    let DestinationEnd::Nothing { why } = end else { panic!("{end:?}") };
    why.to_string()
}

/// Takes every connection and closes it, as a proxy does whose destination is gone.
struct Closing {
    dials: u32,
}

impl Dial for Closing {
    fn dial(&mut self, _wait: Duration) -> std::io::Result<Box<dyn Link>> {
        self.dials += 1;
        if self.dials > 100 {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (near, _) = UnixStream::pair()?;
        Ok(Box::new(UnixLink::new(near, std::path::Path::new("proxy"))?))
    }
}

#[test]
fn a_peer_that_hangs_up_is_asked_now_and_then_and_not_for_ever() {
    let left = Record { ownership: Ownership::GivenAway, ..Record::running(TOKEN) };
    let mut disk = Memory { record: Some(left), ..Memory::default() };
    let mut dial = Closing { dials: 0 };
    let patience = Patience {
        settle: Duration::from_millis(60),
        retry: Duration::from_millis(20),
        ..PATIENCE
    };
    let end = SourceHandoff::orphan(&mut dial, &mut disk, patience).unwrap().run();
    assert!(matches!(end, SourceEnd::Unsettled { .. }), "{end:?}");
    assert!((2..10).contains(&dial.dials), "{} connections", dial.dials);
}

fn hello(versions: (u16, u16), identity: u8) -> Message {
    Message::Hello(Hello {
        versions,
        purpose: Purpose::Begin,
        token: TOKEN,
        attempt: ATTEMPT,
        identities: (PeerId([identity; 32]), PeerId::default()),
    })
}

fn welcome(attempt: Attempt, version: u16) -> Message {
    let (standing, identities) = (Standing::New, Default::default());
    Message::Welcome(Welcome { version, standing, attempt, identities })
}

fn accept(connections: u16) -> Message {
    let (compression, ticket) = (Compression::None, Vec::new());
    Message::Accept(Accept { connections, compression, ticket })
}

#[test]
fn garbage_is_no_destination() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("is it abide"), "{text}");
}

#[test]
fn garbage_is_no_source() {
    let text = destination_against(PATIENCE, |mut peer| {
        peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    });
    assert!(text.contains("is it abide"), "{text}");
}

#[test]
fn silence_has_an_end() {
    let text = destination_against(HASTE, |peer| {
        // Open until the other side has had enough.
        let _ = (&peer).read(&mut [0]);
    });
    assert!(text.contains("more than 300 ms"), "{text}");
    let text = kept(source_against(HASTE, |mut peer| {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).ok();
    }));
    assert!(text.contains("Welcome took more than 300 ms"), "{text}");
}

#[test]
fn a_slow_drip_is_silence() {
    let text = destination_against(HASTE, |mut peer| {
        let frame = hello(VERSIONS, 0).seal(0);
        peer.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for byte in &frame[..60] {
            // The wait for an answer that does not come is the pause between two bytes.
            if peer.write_all(&[*byte]).is_err() || peer.read(&mut [0]).is_ok() {
                break;
            }
        }
    });
    assert!(text.contains("more than 300 ms"), "{text}");
}

#[test]
fn an_oversize_message_is_refused_by_its_head() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        let mut head = frame::Head::of(Kind::Welcome as u16, 0, &[]);
        head.len = 1 << 30;
        peer.write_all(&head.encode()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("Welcome of 1073741824 bytes, allowed are 256"), "{text}");
}

#[test]
fn a_mandatory_message_of_a_newer_version_is_named_and_an_optional_one_skipped() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        peer.write_all(&frame::Head::of(0x0fff, 0, &[]).encode()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("0x0fff"), "{text}");
    let text = kept(source_against(PATIENCE, |mut peer| {
        peer.write_all(&frame::Head::of(0x8fff, 0, &[]).encode()).unwrap();
        peer.write_all(&welcome(ATTEMPT, 77).seal(1)).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("a version that was not offered"), "{text}");
}

#[test]
fn a_repeated_frame_is_noticed() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        let frame = welcome(ATTEMPT, 1).seal(0);
        peer.write_all(&[&frame[..], &frame].concat()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("frame 0 came where frame 1 was due"), "{text}");
}

#[test]
fn an_answer_about_another_attempt_is_not_believed() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        peer.write_all(&welcome(Attempt([8; 16]), 1).seal(0)).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("another attempt"), "{text}");
}

#[test]
fn an_acknowledgement_before_the_commit_gives_nothing_away() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        let accept = accept(0);
        let said = [
            welcome(ATTEMPT, 1).seal(0),
            accept.seal(1),
            Message::Acknowledged { attempt: ATTEMPT }.seal(2),
        ];
        peer.write_all(&said.concat()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("Acknowledged in the middle of Copying"), "{text}");
}

#[test]
fn more_connections_than_offered_are_refused() {
    let text = kept(source_against(PATIENCE, |mut peer| {
        let accept = accept(64);
        peer.write_all(&[welcome(ATTEMPT, 1).seal(0), accept.seal(1)].concat()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    }));
    assert!(text.contains("more connections than were offered"), "{text}");
}

#[test]
fn somebody_in_between_shows() {
    let text = destination_against(PATIENCE, |mut peer| {
        peer.write_all(&hello(VERSIONS, 9).seal(0)).unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).unwrap();
        assert_eq!(answer[..2], (Kind::Refuse as u16).to_le_bytes(), "it is told");
    });
    assert!(text.contains("identities"), "{text}");
}

#[test]
fn versions_that_do_not_meet_are_named_on_both_sides() {
    let text = destination_against(PATIENCE, |mut peer| {
        peer.write_all(&hello((7, 9), 0).seal(0)).unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).unwrap();
        let told = String::from_utf8_lossy(&answer).into_owned();
        assert!(told.contains("versions 7 to 9"), "{told}");
    });
    assert!(text.contains("versions 7 to 9") && text.contains("1 to 1"), "{text}");
}

#[test]
fn state_before_memory_is_refused() {
    let text = destination_against(PATIENCE, |mut peer| {
        let said = [
            hello(VERSIONS, 0).seal(0),
            Message::Offer(common::offer()).seal(1),
            Message::State(b"state".to_vec()).seal(2),
        ];
        peer.write_all(&said.concat()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    });
    assert!(text.contains("the last round of memory has not come"), "{text}");
}

#[test]
fn a_commit_of_nothing_runs_nothing() {
    let text = destination_against(PATIENCE, |mut peer| {
        let commit = Message::Commit { attempt: ATTEMPT, epoch: Epoch(4) };
        let said =
            [hello(VERSIONS, 0).seal(0), Message::Offer(common::offer()).seal(1), commit.seal(2)];
        peer.write_all(&said.concat()).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    });
    assert!(text.contains("Commit in the middle of Receiving"), "{text}");
}

/// Makes a further connection and says `first` on it; what is answered.
fn joined(door: &Sender<UnixStream>, first: &[u8]) -> Vec<u8> {
    let (mut here, there) = UnixStream::pair().unwrap();
    door.send(there).unwrap();
    here.write_all(first).unwrap();
    let mut answer = [0; 26];
    here.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // What it did not read of the garbage makes its end a reset.
    let len = here.read(&mut answer).unwrap_or(0);
    // It stays open as long as this process.
    std::mem::forget(here);
    answer[..len].to_vec()
}

fn join(attempt: Attempt, number: u16, ticket: &[u8]) -> Vec<u8> {
    Message::Join(Join { attempt, number, ticket: ticket.to_vec() }).seal(0)
}

/// Has an offer with two further connections taken.
fn offer_two(peer: &mut UnixStream) {
    let offer = Offer { connections: 2, ..common::offer() };
    let said = [hello(VERSIONS, 0).seal(0), Message::Offer(offer).seal(1)];
    peer.write_all(&said.concat()).unwrap();
    let mut answers = [0; 24 + 92 + 24 + 12];
    peer.read_exact(&mut answers).unwrap();
}

#[test]
fn who_has_no_ticket_or_a_used_one_does_not_join_and_disturbs_nobody() {
    let text = destination_against_many(PATIENCE, |mut peer, door| {
        offer_two(&mut peer);
        let refused: &[&[u8]] = &[
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &hello(VERSIONS, 0).seal(0),
            &join(ATTEMPT, 1, b"word"),
            &join(ATTEMPT, 1, b""),
            &join(Attempt([8; 16]), 1, &TICKET),
            &join(ATTEMPT, 2, &TICKET),
        ];
        for first in refused {
            assert!(joined(door, first).is_empty(), "{first:02x?}");
        }
        assert_eq!(joined(door, &join(ATTEMPT, 1, &TICKET)).len(), 26);
        assert!(joined(door, &join(ATTEMPT, 1, &TICKET)).is_empty(), "used twice");
        assert_eq!(joined(door, &join(ATTEMPT, 2, &TICKET)).len(), 26);
        drop(peer);
    });
    assert!(text.contains("closed by the peer"), "{text}");
}

#[test]
fn memory_before_all_connections_are_there_is_refused() {
    let text = destination_against_many(PATIENCE, |mut peer, door| {
        offer_two(&mut peer);
        assert_eq!(joined(door, &join(ATTEMPT, 1, &TICKET)).len(), 26);
        let round = Round { number: 0, is_last: false, pages: 1, digest: [0; 32] };
        peer.write_all(&Message::Round(round).seal(2)).unwrap();
        peer.read_to_end(&mut Vec::new()).ok();
    });
    assert!(text.contains("not all connections"), "{text}");
}

#[test]
fn a_destination_that_takes_no_further_connection_has_an_end() {
    // A socket pair is always connected: what is missing is the answer.
    let world = Arc::new(World::default());
    let mut guest = FakeSource::new(&world);
    guest.connections = 1;
    let (door, inside) = channel();
    let peer = std::thread::spawn(move || {
        let mut first: UnixStream = inside.recv().unwrap();
        first.write_all(&[welcome(ATTEMPT, 1).seal(0), accept(1).seal(1)].concat()).unwrap();
        let silent: UnixStream = inside.recv().unwrap();
        first.read_to_end(&mut Vec::new()).ok();
        drop(silent);
    });
    let (mut dial, mut disk) = (Dialer { door, cut: None, dials: 0 }, Memory::default());
    let tokens = (TOKEN, ATTEMPT);
    let end = SourceHandoff::new(&mut guest, &mut dial, &mut disk, tokens, HASTE).run();
    peer.join().unwrap();
    let text = kept((end, world.who_runs().0));
    assert!(text.contains("Joined took more than 300 ms"), "{text}");
}
