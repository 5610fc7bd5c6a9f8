//! IPv4 blocks.

use std::fmt;
use std::net::Ipv4Addr;

/// A block of IPv4 addresses, host bits cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cidr {
    base: u32,
    bits: u8,
}

impl Cidr {
    /// `10.0.0.0/16`; host bits are cleared as EC2 does.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self {
            base: u32::from(address) & Self::mask(bits),
            bits,
        })
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & Self::mask(self.bits) == self.base
    }

    /// Whether all of `other` lies inside.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && self.contains(Ipv4Addr::from(other.base))
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The nth address of the block.
    pub(crate) fn host(self, number: u32) -> Option<Ipv4Addr> {
        (u64::from(number) < self.size()).then(|| Ipv4Addr::from(self.base + number))
    }

    /// How many addresses it has.
    pub(crate) fn size(self) -> u64 {
        1 << (32 - u32::from(self.bits))
    }

    fn mask(bits: u8) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared_and_blocks_know_what_they_hold() {
        let block = Cidr::parse("10.0.3.7/16").unwrap();
        assert_eq!(block.to_string(), "10.0.0.0/16");
        assert!(block.contains(Ipv4Addr::new(10, 0, 255, 1)) && !block.contains(Ipv4Addr::new(10, 1, 0, 1)));
        assert!(block.covers(Cidr::parse("10.0.4.0/24").unwrap()) && !block.covers(Cidr::parse("10.0.0.0/8").unwrap()));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains(Ipv4Addr::LOCALHOST));
        assert_eq!(block.host(5), Some(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(Cidr::parse("10.0.0.0/33"), None);
    }
}
