//! Bytes of a stream cut into lines of bounded length, and lines made safe to show.
//! Pure text work: it reads no pipe and knows no instance.

/// Bytes of one line. Longer ones are shown in several, with `…` where they were cut.
pub(super) const LINE_BYTES_MAX: usize = 8 * 1024;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line that has not ended yet; never more than [`LINE_BYTES_MAX`] and a few bytes.
    partial: Vec<u8>,
}

/// What is taken out of a line before it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clean {
    /// Every escape sequence and control character but the tab.
    All,
    /// The same, but colours and weights stay, and are reset at the end.
    AllButColours,
}

impl Lines {
    /// Takes the next bytes and gives each line that ends in them, without its end, to `emit`.
    pub(super) fn feed(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            self.extend(&rest[..end], emit);
            self.emit(emit);
            rest = &rest[end + 1..];
        }
        self.extend(rest, emit);
    }

    /// The stream ended: gives out the line that had no end, if there is one.
    pub(super) fn end(&mut self, emit: &mut dyn FnMut(&[u8])) {
        if !self.partial.is_empty() {
            self.emit(emit);
        }
    }

    fn extend(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(&[u8])) {
        while self.partial.len() + bytes.len() > LINE_BYTES_MAX {
            let room = LINE_BYTES_MAX.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            let tail = self.partial.split_off(cut_before(&self.partial));
            self.partial.extend_from_slice("…".as_bytes());
            emit(&self.partial);
            self.partial.clear();
            self.partial.extend_from_slice("…".as_bytes());
            self.partial.extend_from_slice(&tail);
        }
        self.partial.extend_from_slice(bytes);
    }

    fn emit(&mut self, emit: &mut dyn FnMut(&[u8])) {
        emit(self.partial.strip_suffix(b"\r").unwrap_or(&self.partial));
        self.partial.clear();
    }
}

/// The line as a terminal would show it in the end, without what could move its cursor, clear it
/// or write to its title or clipboard.
pub(super) fn cleaned(line: &str, clean: Clean) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut coloured = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                let sequence = escape(&mut chars);
                let is_colour = sequence.starts_with('[') && sequence.ends_with('m');
                if clean == Clean::AllButColours && is_colour {
                    shown.push('\x1b');
                    shown.push_str(&sequence);
                    coloured = true;
                }
            }
            // A progress bar: what follows was written over what came before.
            '\r' => shown.clear(),
            '\t' => shown.push(c),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    if coloured {
        shown.push_str("\x1b[0m");
    }
    shown
}

/// The rest of an escape sequence by ECMA-48: a control sequence ends in `@` to `~`, a string such
/// as a title in BEL or `ESC \`, anything else after one character.
fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let Some(kind) = chars.next() else { return String::new() };
    let mut sequence = String::from(kind);
    match kind {
        '[' => {
            while let Some(c) = chars.next_if(|c| (' '..='~').contains(c)) {
                sequence.push(c);
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(c) = chars.next() {
                if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
    sequence
}

/// Where to cut so that no UTF-8 sequence is torn: before its first byte, when it is incomplete.
fn cut_before(bytes: &[u8]) -> usize {
    let is_start = |b: u8| b & 0xC0 != 0x80;
    let last_four = bytes.len().saturating_sub(4)..bytes.len();
    let Some(start) = last_four.rev().find(|&at| is_start(bytes[at])) else { return bytes.len() };
    let wanted = match bytes[start] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if start + wanted > bytes.len() { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut emit = |line: &[u8]| found.push(String::from_utf8_lossy(line).into_owned());
        for chunk in chunks {
            lines.feed(chunk, &mut emit);
        }
        lines.end(&mut emit);
        found
    }

    #[test]
    fn cuts_at_line_ends_wherever_the_reads_fall() {
        let text = b"one\r\n\ntwo\nthree";
        let expected = ["one", "", "two", "three"];
        assert_eq!(lines(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes), expected);
        assert!(lines(&[b""]).is_empty());
        assert_eq!(lines(&[b"\n"]), [""]);
    }

    #[test]
    fn long_lines_come_in_pieces_and_lose_nothing() {
        for (unit, step) in [("x", 1000), ("é", 7), ("€", 8191), ("😀", 50_000)] {
            let text = unit.repeat(3 * LINE_BYTES_MAX / unit.len());
            let line = format!("{text}\nnext\n");
            let chunks: Vec<&[u8]> = line.as_bytes().chunks(step).collect();
            let found = lines(&chunks);
            let (next, pieces) = found.split_last().unwrap();
            assert_eq!(next, "next");
            assert!(pieces.len() >= 3);
            for piece in pieces {
                assert!(piece.len() <= LINE_BYTES_MAX + 2 * "…".len(), "{}", piece.len());
            }
            let marks = pieces.iter().filter(|p| p.ends_with('…')).count();
            assert_eq!(marks, pieces.len() - 1);
            assert_eq!(pieces.concat().replace('…', ""), text);
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole() {
        let text = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(lines(&[text.as_bytes(), b"\n"])[0], text);
        assert_eq!(lines(&[text.as_bytes(), b"y\n"]).len(), 2);
    }

    #[test]
    fn bytes_that_are_no_text_are_bounded_too() {
        let found = lines(&[&[0xFF; 3 * LINE_BYTES_MAX], &[0x80; 100]]);
        assert!(found.len() >= 3);
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        let check = |line: &str, all: &str, but_colours: &str| {
            assert_eq!(cleaned(line, Clean::All), all, "{line:?}");
            assert_eq!(cleaned(line, Clean::AllButColours), but_colours, "{line:?}");
        };
        check("plain\ttext é", "plain\ttext é", "plain\ttext é");
        check("\x1b[1;31mred", "red", "\x1b[1;31mred\x1b[0m");
        check("\x1b[2J\x1b[Hhome", "home", "home");
        check("\x1b]0;title\x07x\x1b]52;c;AAAA\x1b\\y", "xy", "xy");
        check("10%\r50%\r100%", "100%", "100%");
        check("a\x08b\x07c\x1b", "abc", "abc");
        check("\x1b[31", "", "");
        check("\x1bcreset", "reset", "reset");
        check("\x1b[31é", "é", "é");
        check("\u{9b}31mx", "31mx", "31mx");
    }
}
