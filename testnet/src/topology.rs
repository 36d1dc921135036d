//! Who is there and which networks they hear, as in `compose.yaml`.

/// The networks: nothing goes from one to the other.
pub(crate) const NETWORKS: [&str; 2] = ["home", "work"];

/// A node of the test network.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Its name, and that of the person to whom it belongs at first.
    pub(crate) name: &'static str,
    /// The networks that it hears.
    pub(crate) networks: &'static [&'static str],
}

/// All nodes.
pub(crate) const SEATS: [Seat; 5] = [
    seat("ana", &["home", "work"]),
    seat("mum", &["home"]),
    seat("nas", &["home"]),
    seat("bob", &["work"]),
    seat("eve", &["work"]),
];

const fn seat(name: &'static str, networks: &'static [&'static str]) -> Seat {
    Seat { name, networks }
}

/// Returns the node of this name.
pub(crate) fn find(name: &str) -> Option<&'static Seat> {
    SEATS.iter().find(|seat| seat.name == name)
}

/// Returns the names of all nodes, for a message.
pub(crate) fn names() -> String {
    SEATS.map(|seat| seat.name).join(", ")
}

/// Tells whether two nodes hear the same network.
pub(crate) fn meet(one: &str, other: &str) -> bool {
    let networks = |name| find(name).map_or(&[][..], |seat| seat.networks);
    let theirs = networks(other);
    networks(one).iter().any(|network| theirs.contains(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compose_file_says_the_same() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/compose.yaml");
        let file = std::fs::read_to_string(file).unwrap();
        for Seat { name, networks } in SEATS {
            let (_, service) = file.split_once(&format!("\n  {name}:\n")).unwrap();
            let networks = format!("networks: [{}]", networks.join(", "));
            let first = service.lines().find(|line| line.contains("networks:"));
            assert_eq!(first.unwrap().trim(), networks, "{name}");
        }
    }

    #[test]
    fn only_ana_hears_both_sides() {
        let met = |name| SEATS.iter().filter(|seat| meet(name, seat.name)).count();
        assert_eq!(["ana", "mum", "bob"].map(met), [5, 3, 3]);
    }
}
