//! Who wrote lately, people and programs outside of the control plane: an object's bookkeeping names programs only.
//! In memory, and of bounded size.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::author::Author;
use crate::object::ObjectKey;

/// Writes that are remembered.
const REMEMBERED: usize = 1024;
/// What the parts of the control plane call themselves.
const OURSELVES: &str = "windlass";

#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<VecDeque<(ObjectKey, String)>>);

impl Writers {
    /// Notes who is about to write, and gives what was noted. Before the write is stored, so that whoever hears of it
    /// finds its author.
    pub fn note<'a>(&self, author: &Author, keys: impl Iterator<Item = &'a ObjectKey>) -> Vec<ObjectKey> {
        if author.client == OURSELVES {
            return Vec::new();
        }
        let noted: Vec<ObjectKey> = keys.cloned().collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &noted {
            if all.len() == REMEMBERED {
                all.pop_front();
            }
            all.push_back((key.clone(), author.user.clone()));
        }
        noted
    }

    /// The write that was noted did not happen.
    pub fn forget(&self, author: &Author, keys: &[ObjectKey]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Some(at) = all.iter().rposition(|(known, user)| known == key && *user == author.user) {
                all.remove(at);
            }
        }
    }

    pub fn last(&self, key: &ObjectKey) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|(known, _)| known == key).map(|(_, user)| user.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[test]
    fn the_last_writer_is_known_unless_it_failed_or_was_one_of_us() {
        let key = |name: &str| ObjectKey::new(kinds::CONFIG_MAP, "a", name);
        let author = |user: &str| Author { user: user.to_owned(), ..Author::default() };
        let writers = Writers::default();
        writers.note(&author("ada"), [key("x")].iter());
        writers.note(&author("bob"), [key("x")].iter());
        writers.note(&Author::controller("job"), [key("x")].iter());
        assert_eq!(writers.last(&key("x")).as_deref(), Some("bob"));
        writers.forget(&author("bob"), &[key("x")]);
        assert_eq!(writers.last(&key("x")).as_deref(), Some("ada"));
        let many: Vec<_> = (0..REMEMBERED).map(|n| key(&n.to_string())).collect();
        writers.note(&author("eve"), many.iter());
        assert_eq!(writers.last(&key("x")), None);
    }
}
