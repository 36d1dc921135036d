//! The tree against the definition of RFC 6962, and every proof against every other pair of sizes.

use super::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The tree as RFC 6962 section 2.1 defines it, by recursion.
fn reference(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty(),
        [leaf] => *leaf,
        leaves => {
            let half = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(half);
            node(&reference(left), &reference(right))
        }
    }
}

/// A log of numbers: the roots of all its sizes, and its complete subtrees.
fn log(count: u64) -> (Vec<Hash>, BTreeMap<(u8, u64), Hash>) {
    let mut tree = Tree::default();
    let (mut roots, mut subtrees) = (vec![tree.root()], BTreeMap::new());
    for number in 0..count {
        for (level, index, hash) in tree.push(&number.to_le_bytes()) {
            subtrees.insert((level, index), hash);
        }
        roots.push(tree.root());
    }
    (roots, subtrees)
}

#[test]
fn the_tree_has_the_shape_of_rfc_6962() {
    let (roots, subtrees) = log(70);
    let leaves: Vec<Hash> = (0..70_u64)
        .map(|number| leaf(&number.to_le_bytes()))
        .collect();
    for (size, expected) in roots.iter().enumerate() {
        assert_eq!(*expected, reference(&leaves[..size]), "{size} entries");
        let mut kept = |level, index| Ok::<_, Infallible>(subtrees[&(level, index)]);
        assert_eq!(
            root(size as u64, &mut kept),
            Ok(*expected),
            "{size} from kept subtrees"
        );
    }
}

#[test]
fn a_consistency_proof_fits_its_two_sizes_and_no_other_history() {
    let (roots, subtrees) = log(34);
    let mut kept = |level, index| Ok::<_, Infallible>(subtrees[&(level, index)]);
    for new in 0..=34_u64 {
        for old in 0..=new {
            let proof = consistency(old, new, &mut kept).expect("all subtrees are there");
            assert!(proof.len() <= PROOF_MAX);
            let at = |size: u64| (size, roots[usize::try_from(size).expect("small")]);
            assert!(is_consistent(at(old), at(new), &proof), "{old} to {new}");
            if old == 0 || old == new {
                continue;
            }
            let rewritten = (old, leaf(b"another past"));
            assert!(!is_consistent(rewritten, at(new), &proof), "{old} to {new}");
            let replaced = (new, leaf(b"another present"));
            assert!(!is_consistent(at(old), replaced, &proof), "{old} to {new}");
            for wrong in 1..=34_u64 {
                if wrong != old && wrong != new {
                    assert!(
                        !is_consistent(at(wrong), at(new), &proof),
                        "{wrong} {old} {new}"
                    );
                }
            }
            for place in 0..proof.len() {
                let mut bent = proof.clone();
                bent[place] = leaf(b"bent");
                assert!(
                    !is_consistent(at(old), at(new), &bent),
                    "{old} to {new} at {place}"
                );
                bent.remove(place);
                assert!(
                    !is_consistent(at(old), at(new), &bent),
                    "{old} to {new} cut"
                );
            }
            assert!(
                !is_consistent(at(new), at(old), &proof),
                "time runs one way"
            );
        }
    }
}

#[test]
fn an_inclusion_proof_fits_its_leaf_and_place_only() {
    let (roots, subtrees) = log(21);
    let mut kept = |level, index| Ok::<_, Infallible>(subtrees[&(level, index)]);
    for size in 1..=21_u64 {
        let top = roots[usize::try_from(size).expect("small")];
        for index in 0..size {
            let proof = inclusion(index, size, &mut kept).expect("all subtrees are there");
            let hash = leaf(&index.to_le_bytes());
            assert!(
                includes(&hash, index, size, &top, &proof),
                "{index} of {size}"
            );
            assert!(!includes(&leaf(b"x"), index, size, &top, &proof));
            assert!(!includes(&hash, size, size, &top, &proof));
            for other in (0..size).filter(|other| *other != index) {
                assert!(
                    !includes(&hash, other, size, &top, &proof),
                    "{other} {index} {size}"
                );
            }
        }
    }
}

#[test]
fn a_head_is_bound_to_device_size_and_root() {
    let device = DeviceKey::from_seed(&[1; 32]);
    let mut tree = Tree::default();
    tree.push(b"one");
    let signed = tree.sign(&device);
    assert!(signed.is_signed_by(&device.id()));
    assert!(!signed.is_signed_by(&DeviceKey::from_seed(&[2; 32]).id()));
    tree.push(b"two");
    let moved = SignedTree {
        tree,
        ..signed.clone()
    };
    assert!(!moved.is_signed_by(&device.id()));
    assert_eq!(
        SignedTree::from_bytes(&signed.to_bytes()),
        Ok(signed.clone())
    );
    let mut bytes = signed.to_bytes();
    bytes[0] = 3;
    assert!(
        SignedTree::from_bytes(&bytes).is_err(),
        "size and peaks belong together"
    );
}
