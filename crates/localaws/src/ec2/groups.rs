//! Security groups and their rules.

use super::address::Cidr;
use crate::state::State;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A security group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) vpc: String,
    pub(crate) ingress: Vec<Rule>,
    pub(crate) egress: Vec<Rule>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Calls before this do not find it: EC2 is eventually consistent.
    pub(super) shown_at: Timestamp,
}

/// One rule: protocol, ports, and one peer.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    /// Lower case; `-1` for all.
    pub(crate) protocol: String,
    pub(crate) from_port: Option<i64>,
    pub(crate) to_port: Option<i64>,
    pub(crate) peer: Peer,
    pub(crate) description: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// Interfaces in this group.
    Group(String),
    /// Addresses.
    Cidr(Cidr),
    /// IPv6 addresses; kept, but nothing here has one.
    Cidr6(String),
    /// A prefix list; kept, but there are none here.
    PrefixList(String),
}

/// Into the group's interfaces or out of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// In.
    Ingress,
    /// Out.
    Egress,
}

impl Group {
    pub(super) fn rules(&self, direction: Direction) -> &Vec<Rule> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    pub(super) fn rules_mut(&mut self, direction: Direction) -> &mut Vec<Rule> {
        match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        }
    }
}

impl Rule {
    /// Everything, from interfaces of one group.
    pub(super) fn all_from_group(state: &mut State, group: &str) -> Self {
        Self::all(state, Peer::Group(group.to_owned()))
    }

    fn all(state: &mut State, peer: Peer) -> Self {
        Self {
            id: state.fresh_id("sgr"),
            protocol: "-1".to_owned(),
            from_port: None,
            to_port: None,
            peer,
            description: None,
            tags: BTreeMap::new(),
        }
    }

    /// The description is no part of a rule's identity.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.from_port == other.from_port
            && self.to_port == other.to_port
            && self.peer == other.peer
    }

    /// Whether it allows TCP on `port` with an interface in `groups` at `address`.
    pub(super) fn allows(&self, port: u16, groups: &[String], address: Ipv4Addr) -> bool {
        let port = i64::from(port);
        let ports = self.protocol == "-1"
            || (matches!(self.protocol.as_str(), "tcp" | "6")
                && self.from_port.is_none_or(|from| from <= port)
                && self.to_port.is_none_or(|to| port <= to));
        let peer = match &self.peer {
            Peer::Group(group) => groups.contains(group),
            Peer::Cidr(block) => block.contains(address),
            Peer::Cidr6(_) | Peer::PrefixList(_) => false,
        };
        ports && peer
    }
}

/// Adds a group with the one rule that every new group has: everything may leave.
pub(crate) fn add_group(state: &mut State, id: &str, vpc: &str, name: &str, description: &str) {
    let everywhere = Cidr::parse("0.0.0.0/0").expect("it is a block");
    let egress = vec![Rule::all(state, Peer::Cidr(everywhere))];
    let group = Group {
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        vpc: vpc.to_owned(),
        ingress: Vec::new(),
        egress,
        tags: BTreeMap::new(),
        shown_at: state.now,
    };
    state.ec2.groups.insert(id.to_owned(), group);
}

/// The group that a VPC's interfaces are in when none is named.
pub(crate) fn default_group(state: &State, vpc: &str) -> Option<String> {
    state
        .ec2
        .groups
        .values()
        .find(|group| group.vpc == vpc && group.name == "default")
        .map(|group| group.id.clone())
}
