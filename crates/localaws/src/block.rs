//! A block of loopback addresses that no other local AWS on this machine uses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Any port will do that is the same for everyone who asks.
const GUARD_PORT: u16 = 20_491;
/// 127.77 to 127.126: fifty at once, and nothing that others commonly use.
const SECOND_OCTETS: std::ops::RangeInclusive<u8> = 77..=126;

/// A `127.x` block for [`crate::Config::ip_block`], kept from others while this lives.
#[derive(Debug)]
pub struct AddressBlock {
    octets: [u8; 2],
    _guard: TcpListener,
}

impl AddressBlock {
    /// The first block that is free.
    ///
    /// # Errors
    /// When none is, or this machine has no such loopback addresses.
    pub fn reserve() -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for second in SECOND_OCTETS {
            let guard = SocketAddr::from((Ipv4Addr::new(127, second, 255, 254), GUARD_PORT));
            match TcpListener::bind(guard) {
                Ok(guard) => {
                    return Ok(Self {
                        octets: [127, second],
                        _guard: guard,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The first two octets of its addresses.
    pub fn octets(&self) -> [u8; 2] {
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_differ_while_both_live() {
        let (one, other) = (AddressBlock::reserve().unwrap(), AddressBlock::reserve().unwrap());
        assert_ne!(one.octets(), other.octets());
    }
}
