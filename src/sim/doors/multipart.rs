//! The one multipart form that the service accepts: a part named `file`.

pub(super) struct Part {
    pub name: String,
    pub bytes: Vec<u8>,
}

pub(super) fn file(content_type: &str, body: &[u8]) -> Option<Part> {
    let boundary = parameter(content_type, "boundary")?;
    let fence = format!("--{boundary}").into_bytes();
    let mut rest = &body[find(body, &fence)? + fence.len()..];
    // The closing fence ends in two hyphens; every other is followed by a line end.
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let head_end = find(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&part[..head_end]).ok()?;
        let content = &part[head_end + 4..];
        let closing = [b"\r\n", fence.as_slice()].concat();
        let end = find(content, &closing)?;
        let disposition = head.lines().find(|line| {
            line.to_ascii_lowercase()
                .starts_with("content-disposition:")
        })?;
        if parameter(disposition, "name").as_deref() == Some("file") {
            return Some(Part {
                name: parameter(disposition, "filename").unwrap_or_else(|| "file".to_owned()),
                bytes: content[..end].to_vec(),
            });
        }
        rest = &content[end + closing.len()..];
    }
    None
}

/// `key=value` or `key="value"` among parts that are separated by semicolons, which quotes may hold too.
fn parameter(header: &str, key: &str) -> Option<String> {
    let mut quoted = false;
    let parts = header.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    parts.skip(1).find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        let is_it = name.eq_ignore_ascii_case(key);
        is_it.then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_named_file_is_found() {
        let form = "multipart/form-data; boundary=1bb5be05d32629734c30bca621b174ee";
        let sent = b"--1bb5be05d32629734c30bca621b174ee\r\nContent-Disposition: form-data; \
            name=\"file\"; filename=\"a.ps1\"\r\n\r\nhel\r\nlo\r\n--1bb5be05d32629734c30bca621b174ee--\r\n";
        let part = file(form, sent).expect("is there");
        assert_eq!(
            (part.name.as_str(), part.bytes.as_slice()),
            ("a.ps1", &b"hel\r\nlo"[..])
        );

        let two = b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b\r\n\
            content-disposition: form-data; name=file\r\n\r\n\r\n--b--\r\n";
        let part = file("multipart/form-data; boundary=\"b\"", two).expect("is there");
        assert_eq!((part.name.as_str(), part.bytes.len()), ("file", 0));

        let named = b"--b\r\nContent-Disposition: form-data; filename=\"a;name=x;b.txt\"; \
            name=\"file\"\r\n\r\n\r\n--b--\r\n";
        let part = file("multipart/form-data; boundary=b", named).expect("is there");
        assert_eq!(part.name, "a;name=x;b.txt");

        for (form, body) in [
            (form, &b"hello"[..]),
            ("text/plain", sent),
            (form, &sent[..90]),
        ] {
            assert!(file(form, body).is_none());
        }
    }
}
