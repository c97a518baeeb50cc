//! Remembers the last deliveries, so that one that is sent again changes nothing. Bounded: the oldest is forgotten.

use std::collections::{HashSet, VecDeque};

/// Deliveries that are remembered.
const REMEMBERED: usize = 4096;
/// A longer id is cut: ids are 36 characters.
const LONGEST_ID: usize = 128;

#[derive(Debug, Default)]
pub struct Seen {
    order: VecDeque<String>,
    ids: HashSet<String>,
}

impl Seen {
    /// Whether the id is new; it is remembered then.
    pub fn is_new(&mut self, host: &str, id: &str) -> bool {
        let key: String = host.chars().chain(" ".chars()).chain(id.chars().take(LONGEST_ID)).collect();
        if !self.ids.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_memory_is_bounded() {
        let mut seen = Seen::default();
        assert!(seen.is_new("GitHub", "a"));
        assert!(!seen.is_new("GitHub", "a"));
        assert!(seen.is_new("GitLab", "a"));
        (0..2 * REMEMBERED).for_each(|i| assert!(seen.is_new("GitHub", &format!("{i}"))));
        assert_eq!((seen.order.len(), seen.ids.len()), (REMEMBERED, REMEMBERED));
    }
}
