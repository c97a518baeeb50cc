//! Reads selectors out of text, as `labelSelector` and `fieldSelector` of requests have them. Refusals are in the
//! words that clients of Kubernetes know. (Kubernetes documentation, "Labels and Selectors" and "Field Selectors".)

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::FromStr;

use super::{BadSelector, FieldSelector, FieldTerm, Operator, Requirement, Selector};

/// A word is anything between spaces and signs; `in` and `notin` are words with a meaning in one place only.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

/// Longer signs come before those that they start with.
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(s) if *s == sign)
    }
}

fn tokens(mut text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let starts_sign = |text: &str| SIGNS.into_iter().find(|sign| text.starts_with(sign));
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return tokens;
        }
        if let Some(sign) = starts_sign(text) {
            tokens.push(Token::Sign(sign));
            text = &text[sign.len()..];
        } else {
            let end = text.find(|c: char| c.is_whitespace() || "=!(),><".contains(c)).unwrap_or(text.len());
            tokens.push(Token::Word(text[..end].to_owned()));
            text = &text[end..];
        }
    }
}

struct Parser {
    tokens: Peekable<std::vec::IntoIter<Token>>,
}

fn found(token: &Token, expected: &str) -> BadSelector {
    BadSelector(format!("found '{}', expected: {expected}", token.text()))
}

impl Parser {
    fn next(&mut self) -> Token {
        self.tokens.next().unwrap_or(Token::End)
    }

    fn peek(&mut self) -> Token {
        self.tokens.peek().cloned().unwrap_or(Token::End)
    }

    fn selector(&mut self) -> Result<Selector, BadSelector> {
        let mut requirements = Vec::new();
        let mut expected = "!, identifier, or 'end of string'";
        loop {
            match self.peek() {
                Token::Word(_) | Token::Sign("!") => {
                    let unreadable = |bad: BadSelector| BadSelector(format!("unable to parse requirement: {bad}"));
                    requirements.push(self.requirement().map_err(unreadable)?);
                }
                Token::End if requirements.is_empty() => return Ok(Selector { requirements }),
                other => return Err(found(&other, expected)),
            }
            match self.next() {
                Token::End => return Ok(Selector { requirements }),
                Token::Sign(",") => expected = "identifier after ','",
                other => return Err(found(&other, "',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, BadSelector> {
        let negated = self.peek().is("!");
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(found(&other, "identifier")),
        };
        let operator = match self.peek() {
            _ if negated => Operator::DoesNotExist,
            Token::End | Token::Sign(",") => Operator::Exists,
            _ => self.comparison()?,
        };
        Ok(Requirement { key, operator })
    }

    fn comparison(&mut self) -> Result<Operator, BadSelector> {
        let operator = self.next();
        Ok(match operator.text() {
            "in" => Operator::In(self.set()?),
            "notin" => Operator::NotIn(self.set()?),
            "=" | "==" => Operator::In([self.value()?].into()),
            "!=" => Operator::NotIn([self.value()?].into()),
            ">" => Operator::GreaterThan(self.number()?),
            "<" => Operator::LessThan(self.number()?),
            _ => return Err(found(&operator, "in, notin, =, ==, !=, gt, lt")),
        })
    }

    /// One value; none is the empty value.
    fn value(&mut self) -> Result<String, BadSelector> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Word(word) => {
                self.next();
                Ok(word)
            }
            other => Err(found(&other, "identifier")),
        }
    }

    fn number(&mut self) -> Result<i64, BadSelector> {
        let value = self.value()?;
        let wrong = || {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer";
            BadSelector(format!("values[0]: Invalid value: {value:?}: {why}"))
        };
        value.parse().map_err(|_| wrong())
    }

    /// Values in parentheses; where nothing stands between commas stands the empty value.
    fn set(&mut self) -> Result<BTreeSet<String>, BadSelector> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(BadSelector(format!("found '{}' expected: '('", other.text()))),
        }
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek() {
                Token::Word(word) => {
                    self.next();
                    word
                }
                _ => String::new(),
            };
            values.insert(value);
            match self.next() {
                Token::Sign(",") => {}
                Token::Sign(")") => return Ok(values),
                other => return Err(found(&other, "',' or ')'")),
            }
        }
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        Parser { tokens: tokens(text).into_iter().peekable() }.selector()
    }
}

impl FromStr for FieldSelector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        let parts = split_unescaped(text).into_iter().filter(|part| !part.is_empty());
        let terms = parts.map(|part| field_term(text, part)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }
}

/// Splits at commas, of which `\,` is none.
fn split_unescaped(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn field_term(whole: &str, part: &str) -> Result<FieldTerm, BadSelector> {
    const OPERATORS: [(&str, bool); 3] = [("!=", false), ("==", true), ("=", true)];
    let at = |i: usize| OPERATORS.into_iter().find(|(sign, _)| part[i..].starts_with(sign)).map(|found| (i, found));
    let Some((at, (sign, equal))) = part.char_indices().find_map(|(i, _)| at(i)) else {
        return Err(BadSelector(format!("invalid selector: '{whole}'; can't understand '{part}'")));
    };
    let value = unescape(&part[at + sign.len()..])?;
    Ok(FieldTerm { path: part[..at].to_owned(), value, equal })
}

/// `\\`, `\,` and `\=` stand for themselves without the backslash; bare, the last two end a value.
fn unescape(text: &str) -> Result<String, BadSelector> {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(plain @ ('\\' | ',' | '=')) => value.push(plain),
                other => {
                    let sequence = other.map(String::from).unwrap_or_default();
                    return Err(BadSelector(format!("invalid field selector: invalid escape sequence: \\{sequence}")));
                }
            },
            ',' | '=' => {
                let code = u32::from(c);
                return Err(BadSelector(format!("invalid field selector: unescaped character in value: {code}")));
            }
            plain => value.push(plain),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_what_was_found_and_what_was_expected() {
        let cases = [
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("=x", "found '=', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a,", "found '', expected: identifier after ','"),
            ("!!a", "unable to parse requirement: found '!', expected: identifier"),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Selector>().unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn words_with_a_meaning_are_also_labels() {
        let selector: Selector = "in=in,notin notin (x)".parse().unwrap();
        assert!(selector.matches(&[("in".to_owned(), "in".to_owned())].into()));
    }

    #[test]
    fn values_of_fields_may_be_escaped() {
        let fields: FieldSelector = r"metadata.name=a\,b\=c\\d,x!=y".parse().unwrap();
        assert_eq!(fields.exact("metadata.name"), Some(r"a,b=c\d"));
        assert!(!fields.terms[1].equal);
        for bad in ["x", "a=b=c", r"a=\1", " "] {
            assert!(bad.parse::<FieldSelector>().is_err(), "{bad}");
        }
    }
}
