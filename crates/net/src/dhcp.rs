//! The DHCP server: one network, one address to give away `[RFC2131]`.

use crate::frame::{self, DatagramEnds, Ends, plan};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, Ipv4Address};

/// Port of servers.
pub(crate) const SERVER_PORT: u16 = 67;
/// Port of clients.
const CLIENT_PORT: u16 = 68;
/// How long the address is the guest's, in seconds; it gets it again whenever it asks.
const LEASE_S: u32 = 86_400;

/// The answer to a client's message, as a frame.
pub(crate) fn answer(payload: &[u8]) -> Option<Vec<u8>> {
    let packet = DhcpPacket::new_checked(payload).ok()?;
    let asked = DhcpRepr::parse(&packet).ok()?;
    let message_type = match asked.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => judge(&asked)?,
        DhcpMessageType::Inform => DhcpMessageType::Ack,
        // What is given back can be asked for again; there is nothing to note down.
        _ => return None,
    };
    let reply = reply(&asked, message_type);
    let mut bytes = vec![0; reply.buffer_len()];
    reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).ok()?;
    // Who has the address already is reached at it; all others only by everybody's.
    let has_address = asked.client_ip == plan::GUEST && message_type == DhcpMessageType::Ack;
    let (to, mac) = if has_address {
        (asked.client_ip, asked.client_hardware_address)
    } else {
        (Ipv4Address::BROADCAST, EthernetAddress::BROADCAST)
    };
    let at = DatagramEnds { from: (plan::GATEWAY, SERVER_PORT), to: (to, CLIENT_PORT) };
    frame::udp(Ends::to(mac), at, &bytes)
}

/// Whether the client may have what it requests; `None` if it asks another server.
fn judge(asked: &DhcpRepr<'_>) -> Option<DhcpMessageType> {
    if asked.server_identifier.is_some_and(|server| server != plan::GATEWAY) {
        return None;
    }
    let wish = asked.requested_ip.unwrap_or(asked.client_ip);
    Some(if wish == plan::GUEST { DhcpMessageType::Ack } else { DhcpMessageType::Nak })
}

fn reply<'a>(asked: &DhcpRepr<'_>, message_type: DhcpMessageType) -> DhcpRepr<'a> {
    let gives = message_type != DhcpMessageType::Nak;
    let informs = asked.message_type == DhcpMessageType::Inform;
    let leases = gives && !informs;
    DhcpRepr {
        message_type,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: asked.client_hardware_address,
        client_ip: if gives { asked.client_ip } else { Ipv4Address::UNSPECIFIED },
        your_ip: if leases { plan::GUEST } else { Ipv4Address::UNSPECIFIED },
        server_ip: if gives { plan::GATEWAY } else { Ipv4Address::UNSPECIFIED },
        router: gives.then_some(plan::GATEWAY),
        subnet_mask: gives.then_some(plan::MASK),
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: asked.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(plan::GATEWAY),
        parameter_request_list: None,
        dns_servers: gives.then(|| [plan::RESOLVER].into_iter().collect()),
        max_size: None,
        lease_duration: leases.then_some(LEASE_S),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 1, 2, 3]);

    /// A client's message: BOOTREQUEST, then options `[RFC2131 2, RFC2132 9]`.
    fn message(kind: u8, client_ip: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&0xab1d_e001_u32.to_be_bytes());
        bytes[12..16].copy_from_slice(&client_ip);
        bytes[28..34].copy_from_slice(&CLIENT.0);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend([53, 1, kind]);
        bytes.extend(options);
        bytes.push(255);
        bytes
    }

    /// Type of the answer, `yiaddr`, options, and whom it is sent to.
    type Answered = (u8, [u8; 4], Vec<u8>, [u8; 6]);

    fn answered(message: &[u8]) -> Option<Answered> {
        let frame = answer(message)?;
        let dhcp = &frame[14 + 20 + 8..];
        assert_eq!(dhcp[..4], [2, 1, 6, 0]);
        assert_eq!(dhcp[4..8], 0xab1d_e001_u32.to_be_bytes());
        let options = dhcp[240..].to_vec();
        assert_eq!(options[..2], [53, 1]);
        let address = dhcp[16..20].try_into().unwrap();
        Some((options[2], address, options, frame[..6].try_into().unwrap()))
    }

    fn option(options: &[u8], wanted: u8) -> Option<&[u8]> {
        let mut at = 0;
        while options[at] != 255 {
            let len = usize::from(options[at + 1]);
            if options[at] == wanted {
                return Some(&options[at + 2..at + 2 + len]);
            }
            at += 2 + len;
        }
        None
    }

    #[test]
    fn discover_is_offered_the_one_address_with_all_that_is_needed() {
        let (kind, address, options, to) = answered(&message(1, [0; 4], &[])).unwrap();
        assert_eq!((kind, address, to), (2, [10, 0, 2, 15], [0xff; 6]));
        assert_eq!(option(&options, 1), Some(&[255, 255, 255, 0][..]));
        assert_eq!(option(&options, 3), Some(&[10, 0, 2, 2][..]));
        assert_eq!(option(&options, 6), Some(&[10, 0, 2, 3][..]));
        assert_eq!(option(&options, 54), Some(&[10, 0, 2, 2][..]));
        assert_eq!(option(&options, 51), Some(&86_400_u32.to_be_bytes()[..]));
    }

    #[test]
    fn request_is_judged_by_the_address_wished_for() {
        let good = message(3, [0; 4], &[50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2]);
        assert_eq!(answered(&good).map(|a| (a.0, a.1)), Some((5, [10, 0, 2, 15])));
        let other_address = message(3, [0; 4], &[50, 4, 192, 168, 0, 7]);
        let (kind, address, options, _) = answered(&other_address).unwrap();
        assert_eq!((kind, address, option(&options, 3)), (6, [0; 4], None));
        let other_server = message(3, [0; 4], &[50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 9]);
        assert_eq!(answered(&other_server), None);
    }

    #[test]
    fn renewal_is_answered_to_the_client_alone() {
        let renewal = message(3, [10, 0, 2, 15], &[]);
        assert_eq!(answered(&renewal).map(|a| (a.0, a.3)), Some((5, CLIENT.0)));
    }

    #[test]
    fn what_is_no_question_is_not_answered() {
        for kind in [2, 4, 5, 6, 7] {
            assert_eq!(answer(&message(kind, [0; 4], &[])), None, "{kind}");
        }
        assert_eq!(answer(&[]), None);
        assert_eq!(answer(&message(1, [0; 4], &[])[..200]), None);
    }
}
