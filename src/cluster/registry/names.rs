//! Makes names out of `generateName`.

/// Consonants and digits that are hard to confuse, and of which no word is made by chance.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// Longer prefixes are cut, so that the name stays a DNS label.
const PREFIX: usize = 63 - SUFFIX;

/// `prefix` with five random characters behind it.
pub fn generate(prefix: &str, random: &mut fastrand::Rng) -> String {
    let cut = prefix.char_indices().map(|(i, _)| i).find(|&i| i >= PREFIX).unwrap_or(prefix.len());
    let mut name = prefix[..cut].to_owned();
    name.extend((0..SUFFIX).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_is_the_prefix_and_five_characters() {
        let mut random = fastrand::Rng::with_seed(1);
        let name = generate("web-", &mut random);
        assert_eq!(name.len(), 9);
        assert!(name.starts_with("web-"));
        assert!(name[4..].bytes().all(|c| ALPHABET.contains(&c)));
        assert_ne!(generate("web-", &mut random), name);
    }

    #[test]
    fn a_long_prefix_is_cut_to_leave_room() {
        let mut random = fastrand::Rng::with_seed(1);
        assert_eq!(generate(&"a".repeat(80), &mut random).len(), 63);
    }
}
