//! What a reader of JSON or of a query says of what it cannot use, in words for whoever sent it: without
//! the names of types that are ours.

use std::fmt::Display;

/// What numbers are called.
const NUMBERS: [(&str, &str); 12] = [
    ("u8", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i8", "a whole number"),
    ("i16", "a whole number"),
    ("i32", "a whole number"),
    ("i64", "a whole number"),
    ("isize", "a whole number"),
    ("f32", "a number"),
    ("f64", "a number"),
];
/// How names of our types are introduced, and what is said instead.
const TYPES: [(&str, &str); 8] = [
    ("struct ", "an object"),
    ("internally tagged enum ", "an object"),
    ("adjacently tagged enum ", "an object"),
    ("a map", "an object"),
    ("enum ", "a text"),
    ("tuple struct ", "a list"),
    ("a sequence", "a list"),
    ("a borrowed string", "a string"),
];
/// What is said of a text that is no number.
const NO_NUMBER: &str = "invalid digit found in string";
/// What stands before what was wanted.
const EXPECTED: &str = ", expected ";
/// What stands before where it was found.
const PLACE: &str = " at line ";

/// The error in plain words. What was sent stands before what was wanted, so it is left as it is.
pub(crate) fn plain(error: &impl Display) -> String {
    let told = error.to_string();
    if let Some(before) = told.strip_suffix(NO_NUMBER) {
        return format!("{before}it is no whole number, 0 or more");
    }
    let Some((before, wanted)) = told.rsplit_once(EXPECTED) else { return told };
    let (wanted, place) = match wanted.rfind(PLACE) {
        Some(at) => wanted.split_at(at),
        None => (wanted, ""),
    };
    let number = NUMBERS.iter().find(|(name, _)| *name == wanted);
    let known = number.or_else(|| TYPES.iter().find(|(start, _)| wanted.starts_with(start)));
    known.map_or(told.clone(), |(_, words)| format!("{before}{EXPECTED}{words}{place}"))
}

#[cfg(test)]
mod tests {
    use impasto_api::{RunRequest, SignalRequest};
    use serde::de::DeserializeOwned;

    use super::*;

    fn said<T: DeserializeOwned>(json: &str) -> String {
        plain(&serde_json::from_str::<T>(json).err().unwrap())
    }

    #[test]
    fn no_type_of_ours_is_named() {
        let check = |said: String, expected: &str| assert_eq!(said, expected);
        check(
            said::<RunRequest>(r#"{"seed": -1}"#),
            "invalid value: integer `-1`, expected a whole number, 0 or more at line 1 column 11",
        );
        check(
            said::<RunRequest>(r#"{"priority": "x, expected u64"}"#),
            "invalid type: string \"x, expected u64\", expected a whole number at line 1 column 30",
        );
        check(
            said::<RunRequest>("7"),
            "invalid type: integer `7`, expected an object at line 1 column 1",
        );
        check(
            said::<RunRequest>(r#"{"input": []}"#),
            "invalid type: sequence, expected an object at line 1 column 10",
        );
        for body in ["7", r#"{"policy": ["draft"]}"#, r#"{"webhook": "x"}"#] {
            let said = said::<RunRequest>(body);
            assert!(!said.contains("struct") && !said.contains("Request"), "{said}");
        }
        let signal = said::<SignalRequest>("7");
        assert!(!signal.contains("SignalRequest"), "{signal}");
        assert_eq!(
            plain(&"limit: invalid digit found in string"),
            "limit: it is no whole number, 0 or more"
        );
        assert_eq!(plain(&"a: something else"), "a: something else");
    }
}
