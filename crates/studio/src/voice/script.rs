//! A text as it is spoken: sentences, the pauses between them, and pieces short enough for a
//! caption.
//!
//! Invariant: the pieces of a sentence, joined by single spaces, are the sentence (where it has
//! spaces at all).

/// The most characters of a piece.
pub(crate) const MOST_PIECE_CHARS: usize = 60;
/// The most characters that are spoken in one breath of the program.
const MOST_SENTENCE_CHARS: usize = 400;

/// What is said between two pauses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sentence {
    pub(crate) text: String,
    /// Pause after it, in seconds at normal speed.
    pub(crate) pause_s: f64,
}

/// Words whose full stop does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "approx", "no", "fig", "inc",
    "ltd", "jr", "sr", "z.b", "bzw", "ca", "nr", "usw",
];

/// The sentences of a text. Whatever holds nothing to say is left out.
pub(crate) fn sentences(text: &str) -> Vec<Sentence> {
    let clean: String = text.chars().map(speakable).collect();
    let mut found = Vec::new();
    for paragraph in clean.split("\n\n") {
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in split_sentences(&words) {
            for part in split_to(&sentence, MOST_SENTENCE_CHARS) {
                if part.chars().any(char::is_alphanumeric) {
                    let pause_s =
                        if part.ends_with(['?', '!', '？', '！']) { 0.48 } else { 0.42 };
                    found.push(Sentence { text: part, pause_s });
                }
            }
        }
        if let Some(last) = found.last_mut() {
            last.pause_s = 0.8;
        }
    }
    if let Some(last) = found.last_mut() {
        last.pause_s = 0.0;
    }
    found
}

/// Control characters are spaces; square brackets would be read as phonemes.
fn speakable(character: char) -> char {
    match character {
        '\n' => '\n',
        '[' => '(',
        ']' => ')',
        control if control.is_control() => ' ',
        other => other,
    }
}

fn split_sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let wide = matches!(character, '。' | '！' | '？');
        if !wide && !matches!(character, '.' | '!' | '?' | '…') {
            continue;
        }
        let mut end = at + character.len_utf8();
        // Closing marks belong to the sentence that they close.
        while let Some((next, mark)) = characters.peek().copied() {
            if !matches!(mark, '.' | '!' | '?' | '…' | '"' | '\'' | '”' | '’' | '»' | ')' | '」')
            {
                break;
            }
            end = next + mark.len_utf8();
            characters.next();
        }
        let ends_here = wide || characters.peek().is_none_or(|(_, next)| next.is_whitespace());
        if !ends_here || (character == '.' && is_abbreviation(&text[start..at])) {
            continue;
        }
        sentences.push(text[start..end].trim().to_owned());
        start = end;
    }
    sentences.push(text[start..].trim().to_owned());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(['(', '"', '\'']).to_lowercase();
    // "J. Smith": a single letter is an initial, unless it is the word "I".
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic) && word != "i";
    initial || ABBREVIATIONS.contains(&word.as_str())
}

/// The pieces of a sentence, none longer than a caption.
pub(crate) fn pieces(sentence: &str) -> Vec<String> {
    split_to(sentence, MOST_PIECE_CHARS)
}

/// Splits where the text breathes: at commas first, then between words, then anywhere.
fn split_to(text: &str, most: usize) -> Vec<String> {
    let length = text.chars().count();
    if length <= most {
        return vec![text.to_owned()];
    }
    let middle = text.char_indices().nth(length / 2).map_or(text.len(), |(at, _)| at);
    let (least, greatest) = (text.len() / 5, text.len() - text.len() / 5);
    let breath = |mark: char| matches!(mark, ',' | ';' | ':' | '–' | '—' | '，' | '、' | '；');
    let near = |places: &mut dyn Iterator<Item = usize>| {
        places.filter(|at| (least..=greatest).contains(at)).min_by_key(|at| at.abs_diff(middle))
    };
    let after_breath = near(
        &mut text
            .char_indices()
            .filter(|(_, mark)| breath(*mark))
            .map(|(at, mark)| at + mark.len_utf8())
            // "1,000" does not breathe.
            .filter(|at| !text[*at..].starts_with(|next: char| next.is_ascii_digit())),
    );
    let space = || near(&mut text.match_indices(' ').map(|(at, _)| at));
    let at = after_breath.or_else(space).unwrap_or(middle);
    let (one, other) = text.split_at(at);
    let mut parts = split_to(one.trim(), most);
    parts.extend(split_to(other.trim(), most));
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> =
            sentences(text).into_iter().map(|sentence| sentence.text).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sentences_end_where_they_end() {
        check("One. Two! Three?", &["One.", "Two!", "Three?"]);
        check(
            "Dr. Smith paid 3.50 euros. \"Good.\" He left…",
            &["Dr. Smith paid 3.50 euros.", "\"Good.\"", "He left…"],
        );
        check("A line\nthat goes on.\n\nA new one", &["A line that goes on.", "A new one"]);
        check("... !!! \u{7}", &[]);
        check("今日は。元気ですか？", &["今日は。", "元気ですか？"]);
        check("Say [[h@'loU]] now.", &["Say ((h@'loU)) now."]);
    }

    #[test]
    fn pieces_fit_a_caption_and_lose_nothing() {
        let long = "When the evening comes, and the lamps are lit one after another along the quiet \
                    street, the mug on the table is still warm, as it was this morning";
        let parts = pieces(long);
        assert!(parts.iter().all(|part| part.chars().count() <= MOST_PIECE_CHARS), "{parts:?}");
        assert_eq!(parts.join(" "), long);
        assert_eq!(pieces(&"x".repeat(130)).concat(), "x".repeat(130));
        assert_eq!(pieces("short"), ["short"]);
    }
}
