//! Tags and origins, each held once however many memories have it.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Below this many names none is looked at for being out of use.
const FEW: usize = 1024;

/// The names that memories have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    known: BTreeSet<Arc<str>>,
    /// How many were in use when that was last looked at.
    used: usize,
}

impl Names {
    /// Makes a name the one that others hold as well.
    pub(crate) fn share(&mut self, name: &mut Arc<str>) {
        if let Some(known) = self.known.get(name) {
            *name = Arc::clone(known);
            return;
        }
        self.known.insert(Arc::clone(name));
        if self.known.len() > FEW.max(2 * self.used) {
            self.known.retain(|name| Arc::strong_count(name) > 1);
            self.used = self.known.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_and_not_for_ever() {
        let mut names = Names::default();
        let (mut one, mut other): (Arc<str>, Arc<str>) = ("work".into(), "work".into());
        names.share(&mut one);
        names.share(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
        for number in 0..2 * FEW {
            names.share(&mut number.to_string().into());
        }
        assert!(names.known.len() <= FEW, "{}", names.known.len());
        assert!(names.known.contains("work"));
    }
}
