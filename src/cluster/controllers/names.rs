//! Generated names, as Kubernetes writes them: no vowels and no digits that look like letters, so that no words arise.

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// A name that is generated has at most the length of a DNS label.
const LONGEST: usize = 63;

/// `BASExxxxx`; `BASE` is cut so that the name fits into a DNS label.
pub fn generate(base: &str, random: &mut fastrand::Rng) -> String {
    let mut name: String = base.chars().take(LONGEST - SUFFIX).collect();
    name.extend((0..SUFFIX).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])));
    name
}

/// Decimal digits in the same alphabet, for hashes in names.
pub fn encode(number: u32) -> String {
    let letter = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
    number.to_string().bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_into_a_dns_label() {
        let mut random = fastrand::Rng::with_seed(1);
        let name = generate(&"x".repeat(80), &mut random);
        assert_eq!(name.len(), LONGEST);
        assert!(generate("web-", &mut random).starts_with("web-"));
        assert_eq!(generate("web-", &mut random).len(), 9);
    }

    #[test]
    fn digits_are_encoded_one_by_one() {
        // '0' is byte 48, and 48 mod 27 is 21, the letter '4'... spelled out for all ten digits.
        assert_eq!(encode(1_234_567_890), "56789bcdf4");
    }
}
