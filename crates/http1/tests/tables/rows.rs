//! Reads a table of raw messages: paragraphs of a title and keyed lines, with escapes for bytes.
//! It knows nothing of HTTP; what a key means is said at the top of each table.

/// One paragraph of a table.
pub(crate) struct Row {
    /// What the row shows.
    pub(crate) title: String,
    lines: Vec<(char, String)>,
}

impl Row {
    /// The text of the line with this key, as written.
    pub(crate) fn text(&self, key: char) -> Option<&str> {
        self.texts(key).next()
    }

    /// The texts of all lines with this key, as written.
    pub(crate) fn texts(&self, key: char) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().filter(move |(found, _)| *found == key);
        lines.map(|(_, text)| text.as_str())
    }

    /// The bytes of all lines with this key, one after the other.
    pub(crate) fn bytes(&self, key: char) -> Vec<u8> {
        self.texts(key).flat_map(|text| unescape(text, &self.title)).collect()
    }
}

/// The rows of a table. Paragraphs are divided by empty lines; lines from `#` on are comments.
pub(crate) fn rows(table: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut is_inside = false;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if line.is_empty() {
            is_inside = false;
        } else if is_inside {
            let (key, text) = line.split_at(1);
            let row = rows.last_mut().expect("a title came before");
            assert!(text.is_empty() || text.starts_with(' '), "no key in {line:?}");
            let key = key.chars().next().expect("the line is not empty");
            let text = text.get(1..).unwrap_or_default();
            row.lines.push((key, text.to_owned()));
        } else {
            let title = line.to_owned();
            let lines = Vec::new();
            rows.push(Row { title, lines });
            is_inside = true;
        }
    }
    rows
}

/// `\r \n \t \0 \s \\ \xNN`, and `\{text*count}` for a repetition.
fn unescape(text: &str, title: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let rest = &text[at + 2..];
        let (taken, piece) = match bytes[at + 1] {
            b'r' => (0, vec![b'\r']),
            b'n' => (0, vec![b'\n']),
            b't' => (0, vec![b'\t']),
            b'0' => (0, vec![0]),
            b's' => (0, vec![b' ']),
            b'\\' => (0, vec![b'\\']),
            b'x' => (2, vec![u8::from_str_radix(&rest[..2], 16).expect(title)]),
            b'{' => {
                let (inside, _) = rest.split_once('}').expect(title);
                let (unit, count) = inside.rsplit_once('*').expect(title);
                let unit = unescape(unit, title);
                (inside.len() + 1, unit.repeat(count.parse().expect(title)))
            }
            other => panic!("{title}: unknown escape {:?}", other as char),
        };
        out.extend_from_slice(&piece);
        at += 2 + taken;
    }
    out
}
